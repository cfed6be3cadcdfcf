//! Codes for what was given, from the plan's words (`config/codes/radionuclides.yaml`, `agents.yaml`).

use crate::dicom::write::Code;
use crate::quantity::nuclide::Nuclide;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Characters of a Code Value and of a Code Meaning.
const VALUE_MAX: usize = 16;
const MEANING_MAX: usize = 64;

/// Designator of the private scheme for what no scheme has a code for.
pub(super) const PRIVATE_SCHEME: &str = "99RPT";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    nuclide: String,
    words: Vec<String>,
    code: Code,
}

static NUCLIDES: LazyLock<BTreeMap<String, Code>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../config/codes/radionuclides.yaml"))
        .expect("the embedded table is read by a test")
});

static AGENTS: LazyLock<Vec<Agent>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../config/codes/agents.yaml"))
        .expect("the embedded table is read by a test")
});

/// Code of a nuclide (CID 18, 4020).
pub fn radionuclide(nuclide: &Nuclide) -> Code {
    let name = nuclide.to_string();
    NUCLIDES.get(&name).cloned().unwrap_or_else(|| private(&name))
}

/// Code of a radiopharmaceutical (CID 25) by the name that a plan gives it.
pub fn radiopharmaceutical(name: &str, nuclide: &Nuclide) -> Code {
    let (lower, nuclide) = (name.to_lowercase(), nuclide.to_string());
    let known = AGENTS.iter().find(|agent| {
        agent.nuclide == nuclide && agent.words.iter().any(|word| lower.contains(word))
    });
    known.map_or_else(|| private(name), |agent| agent.code.clone())
}

/// Letters and digits as the value, the name as the meaning.
fn private(name: &str) -> Code {
    let value: String = name.chars().filter(char::is_ascii_alphanumeric).take(VALUE_MAX).collect();
    let meaning: String = name.chars().take(MEANING_MAX).collect();
    let value = if value.is_empty() { "AGENT".to_owned() } else { value.to_uppercase() };
    Code { value: value.into(), scheme: PRIVATE_SCHEME.into(), meaning: meaning.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_nuclides_find_their_codes_and_others_keep_their_name() {
        let lutetium = Nuclide::parse("Lu-177").unwrap();
        assert_eq!(radionuclide(&lutetium).value, "447553000");
        for agent in AGENTS.iter() {
            assert!(Nuclide::parse(&agent.nuclide).is_ok() && agent.code.value.len() <= VALUE_MAX);
        }
        for (name, value, scheme) in [
            ("177Lu-DOTATATE", "781259000", "SCT"),
            ("177Lu-PSMA-617", "1263794005", "SCT"),
            ("177Lu-PSMA-I&T", "177LUPSMAIT", "99RPT"),
        ] {
            let code = radiopharmaceutical(name, &lutetium);
            assert_eq!((&*code.value, &*code.scheme), (value, scheme), "{name}");
        }
        // The word alone is another agent with another nuclide.
        let gallium = Nuclide::parse("Ga-68").unwrap();
        assert_eq!(radiopharmaceutical("68Ga-DOTATATE", &gallium).scheme, "99RPT");
    }
}
