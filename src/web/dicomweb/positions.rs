//! RT Dose as OHIF can place it.
//!
//! OHIF 3.13 gives every frame of a multi-frame RT Dose the position of the first: in its
//! `combineFrameInstance` the branch that reads Grid Frame Offset Vector stands behind one that takes
//! every object of more than one frame. The volume then has no spacing along its frames, and an overlay is
//! empty or ends the application. Positions in Per-Frame Functional Groups are read, so the viewer's own
//! address restates there what the vector says (PS3.3 C.8.8.3.2), and nothing else. The plain
//! DICOMweb address and the stored object stay as they are. See `docs/ohif.md`.

use serde_json::{Map, Value, json};

const RT_DOSE: &str = "1.2.840.10008.5.1.4.1.1.481.2";
const POSITION: &str = "00200032";

fn numbers(set: &Map<String, Value>, tag: &str) -> Option<Vec<f64>> {
    set.get(tag)?.get("Value")?.as_array()?.iter().map(Value::as_f64).collect()
}

/// Restates the positions of a multi-frame RT Dose frame by frame; other objects, and vectors that begin
/// elsewhere than at 0, are left alone.
pub(super) fn restate(set: &mut Map<String, Value>) {
    let class = set.get("00080016").and_then(|e| e.pointer("/Value/0")).and_then(Value::as_str);
    if class == Some(RT_DOSE)
        && let Some(groups) = groups(set)
    {
        set.remove(POSITION);
        set.insert("52009230".into(), json!({ "vr": "SQ", "Value": groups }));
        set.sort_keys();
    }
}

fn groups(set: &Map<String, Value>) -> Option<Vec<Value>> {
    let origin: [f64; 3] = numbers(set, POSITION)?.try_into().ok()?;
    let [a, b, c, d, e, f]: [f64; 6] = numbers(set, "00200037")?.try_into().ok()?;
    let offsets = numbers(set, "3004000C")?;
    let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
    if offsets.len() < 2 || offsets[0] != 0.0 {
        return None;
    }
    let group = |offset: &f64| {
        let at: Vec<f64> = origin.iter().zip(normal).map(|(o, n)| o + n * offset).collect();
        let plane = json!([{ POSITION: { "vr": "DS", "Value": at } }]);
        json!({ "00209113": { "vr": "SQ", "Value": plane } })
    };
    Some(offsets.iter().map(group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dose(offsets: Value) -> Map<String, Value> {
        let set = json!({
            "00080016": { "vr": "UI", "Value": [RT_DOSE] },
            "00200032": { "vr": "DS", "Value": [-10, 20.5, 30] },
            "00200037": { "vr": "DS", "Value": [1, 0, 0, 0, 0, -1] },
            "3004000C": { "vr": "DS", "Value": offsets },
        });
        set.as_object().unwrap().clone()
    }

    #[test]
    fn each_frame_lies_along_the_normal_by_its_offset() {
        let mut set = dose(json!([0, 4, 8.5]));
        restate(&mut set);
        let at = |n: usize| {
            set["52009230"].pointer(&format!("/Value/{n}/00209113/Value/0/00200032/Value")).unwrap()
        };
        // Rows along x, columns along -z: the normal is +y.
        assert_eq!(at(0), &json!([-10.0, 20.5, 30.0]));
        assert_eq!(at(1), &json!([-10.0, 24.5, 30.0]));
        assert_eq!(at(2), &json!([-10.0, 29.0, 30.0]));
        assert!(!set.contains_key(POSITION));
    }

    #[test]
    fn what_is_no_relative_vector_is_left_alone() {
        for offsets in [json!([30, 34]), json!([0]), json!([0, "x"])] {
            let mut set = dose(offsets);
            let before = set.clone();
            restate(&mut set);
            assert_eq!(set, before);
        }
    }
}
