//! Names of nuclides as people, labels and DICOM code meanings write them.

use super::{Nuclide, NuclideError};

/// Symbol and English name by atomic number, from 1 (IUPAC).
#[rustfmt::skip]
const ELEMENTS: [(&str, &str); 103] = [
    ("H", "hydrogen"), ("He", "helium"), ("Li", "lithium"), ("Be", "beryllium"), ("B", "boron"),
    ("C", "carbon"), ("N", "nitrogen"), ("O", "oxygen"), ("F", "fluorine"), ("Ne", "neon"),
    ("Na", "sodium"), ("Mg", "magnesium"), ("Al", "aluminium"), ("Si", "silicon"),
    ("P", "phosphorus"), ("S", "sulfur"), ("Cl", "chlorine"), ("Ar", "argon"), ("K", "potassium"),
    ("Ca", "calcium"), ("Sc", "scandium"), ("Ti", "titanium"), ("V", "vanadium"),
    ("Cr", "chromium"), ("Mn", "manganese"), ("Fe", "iron"), ("Co", "cobalt"), ("Ni", "nickel"),
    ("Cu", "copper"), ("Zn", "zinc"), ("Ga", "gallium"), ("Ge", "germanium"), ("As", "arsenic"),
    ("Se", "selenium"), ("Br", "bromine"), ("Kr", "krypton"), ("Rb", "rubidium"),
    ("Sr", "strontium"), ("Y", "yttrium"), ("Zr", "zirconium"), ("Nb", "niobium"),
    ("Mo", "molybdenum"), ("Tc", "technetium"), ("Ru", "ruthenium"), ("Rh", "rhodium"),
    ("Pd", "palladium"), ("Ag", "silver"), ("Cd", "cadmium"), ("In", "indium"), ("Sn", "tin"),
    ("Sb", "antimony"), ("Te", "tellurium"), ("I", "iodine"), ("Xe", "xenon"), ("Cs", "cesium"),
    ("Ba", "barium"), ("La", "lanthanum"), ("Ce", "cerium"), ("Pr", "praseodymium"),
    ("Nd", "neodymium"), ("Pm", "promethium"), ("Sm", "samarium"), ("Eu", "europium"),
    ("Gd", "gadolinium"), ("Tb", "terbium"), ("Dy", "dysprosium"), ("Ho", "holmium"),
    ("Er", "erbium"), ("Tm", "thulium"), ("Yb", "ytterbium"), ("Lu", "lutetium"),
    ("Hf", "hafnium"), ("Ta", "tantalum"), ("W", "tungsten"), ("Re", "rhenium"), ("Os", "osmium"),
    ("Ir", "iridium"), ("Pt", "platinum"), ("Au", "gold"), ("Hg", "mercury"), ("Tl", "thallium"),
    ("Pb", "lead"), ("Bi", "bismuth"), ("Po", "polonium"), ("At", "astatine"), ("Rn", "radon"),
    ("Fr", "francium"), ("Ra", "radium"), ("Ac", "actinium"), ("Th", "thorium"),
    ("Pa", "protactinium"), ("U", "uranium"), ("Np", "neptunium"), ("Pu", "plutonium"),
    ("Am", "americium"), ("Cm", "curium"), ("Bk", "berkelium"), ("Cf", "californium"),
    ("Es", "einsteinium"), ("Fm", "fermium"), ("Md", "mendelevium"), ("No", "nobelium"),
    ("Lr", "lawrencium"),
];

/// Atomic number of an element symbol that [`element`] gave.
pub(super) fn atomic_number(symbol: &str) -> u8 {
    let at = ELEMENTS.iter().position(|(s, _)| *s == symbol);
    at.and_then(|i| u8::try_from(i + 1).ok()).unwrap_or(0)
}

fn element(word: &str) -> Option<&'static str> {
    let alias = match word.to_ascii_lowercase().as_str() {
        "aluminum" => "Al",
        "caesium" => "Cs",
        "sulphur" => "S",
        _ => word,
    };
    ELEMENTS
        .iter()
        .find(|(symbol, name)| {
            symbol.eq_ignore_ascii_case(alias) || name.eq_ignore_ascii_case(alias)
        })
        .map(|(symbol, _)| *symbol)
}

/// A run of letters or of digits; everything else only parts them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Number(&'a str),
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = |c: char| (c.is_ascii_alphabetic(), c.is_ascii_digit());
        let end = rest.find(|c| kind(c) != kind(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        match kind(first) {
            (true, _) => out.push(Token::Word(run)),
            (_, true) => out.push(Token::Number(run)),
            _ => {}
        }
        rest = tail;
    }
    out
}

/// A nuclide of this element and mass, if the mass can be one of that element.
fn nuclide(symbol: &'static str, mass: &str, metastable: bool) -> Option<Nuclide> {
    let mass_number: u16 = mass.parse().ok()?;
    let z = u16::from(atomic_number(symbol));
    // No bound nuclide lies outside; a batch number or a compound's number mostly does.
    let plausible = mass_number >= z.max(1) && mass_number <= 3 * z + 2;
    plausible.then(|| Nuclide { symbol: symbol.to_owned(), mass_number, metastable })
}

/// `177Lu`, `99mTc`, `^99m^Technetium`: mass first.
fn mass_first(tokens: &[Token<'_>]) -> Option<(Nuclide, usize)> {
    match *tokens {
        [Token::Number(a), Token::Word(m), Token::Word(e), ..] if m.eq_ignore_ascii_case("m") => {
            Some((nuclide(element(e)?, a, true)?, 3))
        }
        [Token::Number(a), Token::Word(e), ..] => match element(e) {
            Some(symbol) => Some((nuclide(symbol, a, false)?, 2)),
            None => {
                let rest = e.strip_prefix(['m', 'M'])?;
                Some((nuclide(element(rest)?, a, true)?, 2))
            }
        },
        _ => None,
    }
}

/// `Lu-177`, `Tc-99m`, `Lutetium 177`: element first.
fn element_first(tokens: &[Token<'_>]) -> Option<(Nuclide, usize)> {
    match *tokens {
        [Token::Word(e), Token::Number(a), Token::Word(m), ..] if m.eq_ignore_ascii_case("m") => {
            Some((nuclide(element(e)?, a, true)?, 3))
        }
        [Token::Word(e), Token::Number(a), ..] => Some((nuclide(element(e)?, a, false)?, 2)),
        _ => None,
    }
}

pub(super) fn parse(text: &str) -> Result<Nuclide, NuclideError> {
    let tokens = tokens(text);
    let mut found: Option<Nuclide> = None;
    let mut at = 0;
    while at < tokens.len() {
        let here = &tokens[at..];
        let Some((next, used)) = element_first(here).or_else(|| mass_first(here)) else {
            at += 1;
            continue;
        };
        match &found {
            Some(first) if *first != next => {
                return Err(NuclideError::TwoNuclides(first.to_string(), next.to_string()));
            }
            _ => found = Some(next),
        }
        at += used;
    }
    found.ok_or(NuclideError::NotANuclide)
}
