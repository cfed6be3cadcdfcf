//! The table of routes: path, right, what it is for and what answers. Router, access control and the
//! OpenAPI description are made of this one table.

use super::access::{Right, authorise};
use super::{Shared, metrics};
use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use serde_json::{Map, Value, json};

/// One line of the table.
#[derive(Debug, Clone)]
struct Route {
    method: &'static str,
    path: String,
    right: Right,
    summary: &'static str,
}

pub(super) struct Routes {
    web: Shared,
    router: Router<Shared>,
    table: Vec<Route>,
}

impl Routes {
    pub(super) fn new(web: Shared) -> Self {
        Self { web, router: Router::new(), table: Vec::new() }
    }

    pub(super) fn get<H, T>(
        self,
        path: &str,
        right: Right,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add("get", path, right, summary, get(handler))
    }

    pub(super) fn post<H, T>(
        self,
        path: &str,
        right: Right,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add("post", path, right, summary, post(handler))
    }

    fn add(
        mut self,
        method: &'static str,
        path: &str,
        right: Right,
        summary: &'static str,
        handler: MethodRouter<Shared>,
    ) -> Self {
        let guarded = handler
            .layer(from_fn_with_state((self.web.clone(), right), authorise))
            .layer(axum::middleware::from_fn(metrics::request));
        self.router = self.router.route(path, guarded);
        self.table.push(Route { method, path: path.to_owned(), right, summary });
        self
    }

    /// The router, and the description of what it answers.
    pub(super) fn build(self) -> (Router<Shared>, Value) {
        let description = describe(&self.table);
        (self.router, description)
    }
}

/// OpenAPI 3.1.
fn describe(table: &[Route]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in table {
        let path = route.path.replace("{*", "{");
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "grayd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{}. DICOMweb is that of PS3.18.", crate::report::RESEARCH_MARK),
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "made by `grayd user token`" },
                "session": { "type": "apiKey", "in": "cookie", "name": "grayd" },
            },
            "schemas": {
                "Failure": {
                    "type": "object",
                    "required": ["error"],
                    "properties": { "error": { "type": "string", "description": "what is wrong and what to do" } },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let names = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names
        .map(|name| {
            let name = name.trim_start_matches('*');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    let failure = |why: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Failure" });
        json!({ "description": why, "content": { "application/json": { "schema": schema } } })
    };
    let mut responses = json!({ "200": { "description": "as asked" } });
    if route.right != Right::Open {
        responses["401"] = failure("no session and no token");
        responses["403"] = failure("not with this role or scope");
    }
    if !parameters.is_empty() {
        responses["404"] = failure("nothing there");
    }
    let security = match route.right {
        Right::Open => json!([]),
        Right::Sign => json!([{ "session": [] }]),
        _ => json!([{ "token": [] }, { "session": [] }]),
    };
    json!({
        "summary": route.summary,
        "tags": [tag(&route.path)],
        "parameters": parameters,
        "responses": responses,
        "security": security,
        "x-right": route.right.as_str(),
    })
}

fn tag(path: &str) -> &'static str {
    match path {
        path if path.starts_with("/dicom-web") => "DICOMweb",
        path if path.starts_with("/api") => "API",
        "/healthz" | "/readyz" | "/metrics" => "operation",
        _ => "pages",
    }
}
