//! The warnings of a `results.json`, each text once with the regions that it is about.

use serde_json::Value;

/// One warning as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Grouped {
    pub code: String,
    pub text: String,
    /// Names, in the result's order; none where the whole result is meant.
    pub regions: Vec<String>,
    /// The regions' places in the result, in the same order.
    #[serde(skip)]
    pub places: Vec<usize>,
}

/// Those of the whole result first, then in the order of the regions.
pub fn grouped(results: &Value) -> Vec<Grouped> {
    let mut found: Vec<Grouped> = list(&results["warnings"]).collect();
    for (place, region) in results["regions"].as_array().into_iter().flatten().enumerate() {
        for warning in list(&region["warnings"]) {
            let at = found
                .iter()
                .position(|known| known.text == warning.text && known.code == warning.code);
            let at = at.unwrap_or_else(|| {
                found.push(warning);
                found.len() - 1
            });
            let known = &mut found[at];
            if known.places.last() != Some(&place) {
                known.places.push(place);
                known.regions.push(region["name"].as_str().unwrap_or("?").to_owned());
            }
        }
    }
    found
}

fn list(warnings: &Value) -> impl Iterator<Item = Grouped> + '_ {
    let word = |warning: &Value, key: &str| warning[key].as_str().unwrap_or_default().to_owned();
    warnings.as_array().into_iter().flatten().map(move |warning| Grouped {
        code: word(warning, "code"),
        text: word(warning, "text"),
        regions: Vec::new(),
        places: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_text_stands_once_with_the_regions_it_concerns() {
        let same = json!({ "code": "few-points", "text": "two points only" });
        let results = json!({
            "warnings": [{ "code": "a", "text": "of all" }],
            "regions": [
                { "name": "Liver", "warnings": [same, same] },
                { "name": "Spleen", "warnings": [{ "code": "b", "text": "alone" }, same] },
            ],
        });
        let all: Vec<(String, Vec<usize>)> =
            grouped(&results).into_iter().map(|w| (w.text, w.places)).collect();
        let expected = [("of all", vec![]), ("two points only", vec![0, 1]), ("alone", vec![1])];
        assert_eq!(all, expected.map(|(text, places)| (text.to_owned(), places)));
        assert_eq!(grouped(&results)[1].regions, ["Liver", "Spleen"]);
        assert_eq!(grouped(&json!({})), []);
    }
}
