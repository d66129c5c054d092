//! Finding and reading the file.

use std::path::Path;

use super::Config;
use crate::error::{Code, Error, Result};

/// The environment variable that names the file.
pub const ENV_FILE: &str = "MCP_CREDENTIALS_BROKER_CONFIG";

/// Reads the operator's file: `file`, else what [`ENV_FILE`] names, else `broker.toml` in the platform's configuration
/// folder if there is one, else nothing but defaults.
///
/// # Errors
/// `invalid_configuration` with the line and a suggestion.
pub fn load(file: Option<&Path>) -> Result<Config> {
    let Some(file) = file else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(file).map_err(|error| Error::new(Code::InvalidConfiguration, error.to_string(), ""))?;
    toml::from_str(&text).map_err(|error| Error::new(Code::InvalidConfiguration, error.to_string(), ""))
}
