//! Who may use pages and API: people with roles and passwords, programs with tokens. The file holds
//! hashes only; `grayd user` writes it.

use super::tls::is_open_to_others;
use super::yaml::{Document, Fault, steps};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

/// Shortest password that is taken (NIST SP 800-63B 5.1.1.2 asks for 8 at least).
pub const PASSWORD_MIN: usize = 10;
/// Longest: argon2 would take more, an attacker should not choose how much.
pub const PASSWORD_MAX: usize = 256;
const NAME_MAX: usize = 32;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees courses, results and images.
    Viewer,
    /// Also stores images and signs results.
    Physicist,
    /// Sees everything, stores images, reads metrics; does not sign.
    Admin,
}

/// What a program may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Read,
    /// Also stores images.
    Write,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// argon2id, in PHC form.
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: String,
    pub scope: Scope,
    /// Of the token's text, lower-case hex: tokens are random, so that a plain hash is enough.
    pub sha256: String,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credentials {
    pub users: Vec<User>,
    pub tokens: Vec<Token>,
}

/// Lower-case hex of a SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `N` bytes of the kernel's randomness.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // For up to 256 bytes getrandom(2) neither fails nor stops half-way once the kernel is up.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes
}

/// 160 random bits in letters and digits that cannot be mistaken for one another.
pub fn random_text() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    random::<32>().iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Letters, digits, dot, hyphen and underscore: names stand in the audit trail.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// argon2id with the parameters of its specification's second choice (RFC 9106: 19 MiB, two passes).
pub fn hash_password(password: &str) -> Result<String, String> {
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.len()) {
        return Err(format!("a password has {PASSWORD_MIN} to {PASSWORD_MAX} bytes"));
    }
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &random::<16>());
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

impl User {
    /// Takes some 20 ms and 19 MiB, on purpose.
    pub fn has_password(&self, password: &str) -> bool {
        password.len() <= PASSWORD_MAX
            && Argon2::default()
                .verify_password(password.as_bytes(), self.password.as_str())
                .is_ok()
    }
}

impl Credentials {
    /// Reads and checks the file; `Err` holds every fault.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let mut document = Document::open(path).map_err(|fault| vec![fault])?;
        let (found, mut faults) = document.read::<Self>();
        if is_open_to_others(path) {
            let message = "can be read by anybody on this machine; chmod 600 it";
            faults.push(Fault::of_file(&path.display().to_string(), message));
        }
        let found = found.unwrap_or_default();
        found.check(&document, &mut faults);
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }

    fn check(&self, document: &Document, faults: &mut Vec<Fault>) {
        let mut names = HashSet::new();
        let users = self.users.iter().enumerate().map(|(n, user)| ("users", n, &user.name));
        let tokens = self.tokens.iter().enumerate().map(|(n, token)| ("tokens", n, &token.name));
        for (list, n, name) in users.chain(tokens) {
            if !is_name(name) {
                let message = "is no name; write 1 to 32 letters, digits, `.`, `-` or `_`";
                faults.push(document.fault_at(steps![list, n, "name"], message));
            }
            if !names.insert(name) {
                let message = "is there twice; give each user and token a name of its own";
                faults.push(document.fault_at(steps![list, n, "name"], message));
            }
        }
        for (n, user) in self.users.iter().enumerate() {
            let is_hash = user.password.starts_with("$argon2id$")
                && argon2::password_hash::phc::PasswordHash::new(&user.password).is_ok();
            if !is_hash {
                let message = "is no argon2id hash; set the password with `grayd user add`";
                faults.push(document.fault_at(steps!["users", n, "password"], message));
            }
        }
        for (n, token) in self.tokens.iter().enumerate() {
            let is_hash = token.sha256.len() == 64
                && token.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !is_hash {
                let message = "is no SHA-256; make the token with `grayd user token`";
                faults.push(document.fault_at(steps!["tokens", n, "sha256"], message));
            }
        }
    }

    /// Writes the file whole, for nobody but its owner to read.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut draft = tempfile::Builder::new();
        draft.prefix(".grayd-users-");
        let draft = draft.make_in(folder.unwrap_or(Path::new(".")), |path| {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
        })?;
        std::io::Write::write_all(&mut draft.as_file(), self.render().as_bytes())?;
        draft.as_file().sync_all()?;
        draft.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Names are checked and hashes have no quotes: nothing needs escaping.
    fn render(&self) -> String {
        let mut text = String::from("# Written by `grayd user`. Holds hashes only.\nusers:");
        text.push_str(if self.users.is_empty() { " []\n" } else { "\n" });
        for User { name, role, password } in &self.users {
            let role = role.as_str();
            text +=
                &format!("  - {{ name: \"{name}\", role: {role}, password: \"{password}\" }}\n");
        }
        text.push_str("tokens:");
        text.push_str(if self.tokens.is_empty() { " []\n" } else { "\n" });
        for Token { name, scope, sha256 } in &self.tokens {
            let scope = scope.as_str();
            text += &format!("  - {{ name: \"{name}\", scope: {scope}, sha256: \"{sha256}\" }}\n");
        }
        text
    }
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Physicist => "physicist",
            Self::Admin => "admin",
        }
    }
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        let token = random_text();
        let credentials = Credentials {
            users: vec![User {
                name: "ada".into(),
                role: Role::Physicist,
                password: hash_password("correct horse").unwrap(),
            }],
            tokens: vec![Token {
                name: "viewer".into(),
                scope: Scope::Read,
                sha256: sha256_hex(token.as_bytes()),
            }],
        };
        credentials.save(&path).unwrap();
        let back = Credentials::open(&path).unwrap();
        assert_eq!(back, credentials);
        assert!(back.users[0].has_password("correct horse"));
        assert!(!back.users[0].has_password("correct horsf"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("correct") && !text.contains(&token));
        assert!(!is_open_to_others(&path));
        assert!(hash_password("short").is_err() && hash_password(&"x".repeat(257)).is_err());
        assert_ne!(random_text(), random_text());
    }

    #[test]
    fn faults_are_named_where_they_stand() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.yaml");
        let text = "users:\n  - { name: \"a b\", role: viewer, password: plain }\n\
                    tokens:\n  - { name: t, scope: read, sha256: ab }\n\
                    \x20 - { name: t, scope: root, sha256: ab }\n";
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let faults: Vec<String> =
            Credentials::open(&path).unwrap_err().iter().map(ToString::to_string).collect();
        for wanted in ["users.yaml:2:", "is no name", "argon2id", "users.yaml:5:", "chmod 600"] {
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:?}");
        }
    }
}
