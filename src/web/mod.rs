//! Server-rendered pages and the JSON API.
