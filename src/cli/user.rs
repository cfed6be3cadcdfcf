//! `grayd user`: who may use pages and API.

use super::{Failure, print_all};
use crate::config::credentials::{
    Credentials, Role, Scope, Token, User, hash_password, is_name, random_text, sha256_hex,
};
use clap::{Args, Subcommand};
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

/// Add, list and remove users and tokens of pages and API.
///
/// The file (`web: users:` of the configuration) holds hashes only. A running node sees a change at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  grayd user add --file /etc/grayd/users.yaml ada --role physicist
  grayd user token --file /etc/grayd/users.yaml ohif --scope read
  grayd user list --file /etc/grayd/users.yaml")]
pub struct UserCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user, or give one another password and role
    Add {
        name: String,
        #[arg(long, value_enum)]
        role: Role,
        /// Read the password from standard input; else one is made and printed once
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        file: CredentialsFile,
    },
    /// Make a token for a program, printed once
    Token {
        name: String,
        #[arg(long, value_enum)]
        scope: Scope,
        #[command(flatten)]
        file: CredentialsFile,
    },
    /// Names, roles and scopes
    List {
        #[command(flatten)]
        file: CredentialsFile,
    },
    /// Remove a user or a token
    Remove {
        name: String,
        #[command(flatten)]
        file: CredentialsFile,
    },
}

#[derive(Debug, Args)]
struct CredentialsFile {
    /// File of users and tokens; made where it is missing
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

impl CredentialsFile {
    fn open(&self) -> Result<Credentials, Failure> {
        if !self.file.exists() {
            return Ok(Credentials::default());
        }
        Credentials::open(&self.file).map_err(Failure::Faults)
    }

    fn save(&self, credentials: &Credentials) -> Result<(), Failure> {
        let path: &Path = &self.file;
        let failed =
            |error| Failure::Failed(format!("{} cannot be written: {error}", path.display()));
        credentials.save(path).map_err(failed)
    }
}

impl UserCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Add { name, role, password_stdin, file } => {
                add(name, role, password_stdin, &file)
            }
            What::Token { name, scope, file } => token(name, scope, &file),
            What::List { file } => list(&file.open()?),
            What::Remove { name, file } => remove(&name, &file),
        }
    }
}

fn free_name(name: &str, taken: bool) -> Result<(), Failure> {
    if !is_name(name) {
        let wanted = "write 1 to 32 letters, digits, `.`, `-` or `_`";
        return Err(Failure::Usage(format!("this is no name; {wanted}")));
    }
    if taken {
        return Err(Failure::Usage(format!(
            "`{name}` is taken; choose another, or remove it first"
        )));
    }
    Ok(())
}

fn add(name: String, role: Role, from_stdin: bool, file: &CredentialsFile) -> Result<(), Failure> {
    let mut credentials = file.open()?;
    free_name(&name, credentials.tokens.iter().any(|token| token.name == name))?;
    let password = if from_stdin { read_password()? } else { random_text() };
    let hash = hash_password(&password).map_err(Failure::Usage)?;
    credentials.users.retain(|user| user.name != name);
    credentials.users.push(User { name, role, password: hash });
    file.save(&credentials)?;
    if from_stdin { Ok(()) } else { print_all(&password) }
}

fn read_password() -> Result<String, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        let wanted = "it would be seen while you type; pipe it in, or leave --password-stdin out";
        return Err(Failure::Usage(wanted.into()));
    }
    let mut line = String::new();
    input.lock().read_line(&mut line).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn token(name: String, scope: Scope, file: &CredentialsFile) -> Result<(), Failure> {
    let mut credentials = file.open()?;
    let taken = credentials.users.iter().any(|user| user.name == name);
    free_name(&name, taken || credentials.tokens.iter().any(|token| token.name == name))?;
    let text = random_text();
    credentials.tokens.push(Token { name, scope, sha256: sha256_hex(text.as_bytes()) });
    file.save(&credentials)?;
    print_all(&text)
}

fn list(credentials: &Credentials) -> Result<(), Failure> {
    for user in &credentials.users {
        print_all(&format!("user  {:32} {}", user.name, user.role.as_str()))?;
    }
    for token in &credentials.tokens {
        print_all(&format!("token {:32} {}", token.name, token.scope.as_str()))?;
    }
    Ok(())
}

fn remove(name: &str, file: &CredentialsFile) -> Result<(), Failure> {
    let mut credentials = file.open()?;
    let before = credentials.users.len() + credentials.tokens.len();
    credentials.users.retain(|user| user.name != name);
    credentials.tokens.retain(|token| token.name != name);
    if credentials.users.len() + credentials.tokens.len() == before {
        return Err(Failure::Usage(format!("there is no user or token `{name}`")));
    }
    file.save(&credentials)
}
