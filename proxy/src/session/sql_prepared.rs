//! PREPARE, EXECUTE and DEALLOCATE PREPARE as statements, in keyspaces with several shards: the session keeps the text by its name, and an execution is the text with
//! the user variables' values in the places of its parameters, which goes where any statement with these values goes. With one shard they are its server's own.

use podway_model::Name;
use podway_router::{Scalar, Verb, markers};
use podway_wire::OkPacket;

use super::core::{ClientStatement, Flow, Planned, Session};
use super::literals::{quoted, unsigned_digits};
use crate::backend::quoted_identifier;
use crate::error::{ClientError, ErrorCode, ProxyError};

/// What a text's meaning depends on.
const READING: [&str; 3] = ["sql_mode", "character_set_client", "collation_connection"];

/// Character sets in which ASCII's letters have ASCII's bytes.
const ASCII_IS_ASCII: [&str; 5] = ["utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"];

impl Session {
    /// PREPARE name FROM source. As in MySQL a statement of this name is gone even where the new one is refused.
    pub(super) async fn prepare_in_sql(
        &mut self,
        planned: &Planned<'_>,
        name: &Name,
        source: &Scalar,
    ) -> Result<(), ProxyError> {
        self.sql_statements.remove(name);
        let limit = self.shared.config.client.max_statements;
        if self.statements.len() + self.sql_statements.len() >= limit {
            let message =
                format!("Can't create more than client.max_statements statements (current value: {limit})");
            return Err(ClientError::new(ErrorCode::TOO_MANY_STATEMENTS, message).into());
        }
        let text = self.source_text(planned, source).await?;
        let (statement, _) = self.statement_of(&text, &planned.map).await?;
        check_may_be_prepared(&statement)?;
        self.sql_statements.insert(name.clone(), statement);
        self.state.row_count = 0;
        self.state.warnings.clear();
        self.reply_ok_with(OkPacket { info: b"Statement prepared".to_vec(), ..OkPacket::default() }).await
    }

    /// The text that a literal or a user variable holds: a server reads it as it would.
    async fn source_text(&mut self, planned: &Planned<'_>, source: &Scalar) -> Result<Vec<u8>, ProxyError> {
        let value = match source {
            Scalar::Literal(number) => {
                let literal = planned.normal.literals().get(*number);
                literal.map(|literal| literal.text(planned.sql)).unwrap_or_default().to_vec()
            }
            Scalar::UserVariable(name) => {
                self.check_variables_known()?;
                format!("@{}", quoted_identifier(name.as_str())).into_bytes()
            }
            _ => {
                return Err(ClientError::not_supported("PREPARE from this source over several shards").into());
            }
        };
        let spot = self.home_spot()?;
        let (settings, variables) = (self.settings_outside(), self.state.variables.clone());
        let mut connection = self.reader(&spot, &settings).await?;
        let synchronised = connection.synchronise(&spot.current, &settings, Some(&variables)).await;
        let asked = match synchronised {
            Ok(()) => {
                let charset = &self.state.lexical.charset_name;
                let head = b"SELECT HEX(CONVERT(".as_slice();
                let sql = [head, &value, b" USING ", charset.as_bytes(), b")) LIMIT 1"].concat();
                connection.rows(&sql).await
            }
            Err(error) => Err(error),
        };
        self.put_away(connection, false);
        let rows = asked.map_err(|error| self.in_logical_names(error, &spot))?;
        let digits = rows.text(0).unwrap_or_else(|| "4E554C4C".to_owned());
        Ok(bytes_of(&digits))
    }

    /// EXECUTE name USING variables.
    pub(super) async fn execute_in_sql(&mut self, name: &Name, using: &[Name]) -> Result<Flow, ProxyError> {
        let Some(statement) = self.sql_statements.get(name) else {
            return Err(unknown(name, "EXECUTE").into());
        };
        if statement.normal.param_count() != using.len() {
            return Err(ClientError::new(ErrorCode::WRONG_ARGUMENTS, "Incorrect arguments to EXECUTE").into());
        }
        if statement.database != self.state.database {
            let what = "EXECUTE in another database than the statement was prepared in, over several shards";
            return Err(ClientError::not_supported(what).into());
        }
        let now = &self.state.settings;
        if READING.iter().any(|name| statement.settings.get(name) != now.get(name)) {
            let what = "EXECUTE under another sql_mode or character set than the statement was prepared under, over several shards";
            return Err(ClientError::not_supported(what).into());
        }
        if !using.is_empty() {
            self.check_variables_known()?;
        }
        let text = self.text_with_values(statement, using)?;
        self.query_prepared_text(&text).await
    }

    /// A statement's text with user variables' values in its parameters' places.
    fn text_with_values(&self, statement: &ClientStatement, using: &[Name]) -> Result<Vec<u8>, ProxyError> {
        let limit = self.shared.config.client.max_packet;
        let refused = |what: &str| Err(ClientError::not_supported(what).into());
        let mut text = Vec::with_capacity(statement.text.len());
        let mut copied = 0;
        for (marker, variable) in markers(&statement.normal).iter().zip(using) {
            let Some(literal) = statement.normal.literals().get(marker.literal) else { continue };
            let value = self.value_of(variable);
            let is_text = matches!(value.first(), Some(b'\'' | b'_' | b'C'));
            if marker.is_beside_string && is_text {
                return refused("EXECUTE with a text beside another string, over several shards");
            }
            if marker.may_be_place && !is_text && !value.contains(&b'.') && value != b"NULL" {
                return refused(
                    "EXECUTE with an integer as what is ordered or grouped by, over several shards",
                );
            }
            let range = literal.range();
            let written = text.len() + value.len() + (range.start - copied);
            if written + (statement.text.len() - range.end) > limit {
                let message = "Got a packet bigger than 'max_allowed_packet' bytes: a statement with the values that it is executed with";
                return Err(ClientError::new(ErrorCode::PACKET_TOO_LARGE, message).into());
            }
            text.extend_from_slice(&statement.text[copied..range.start]);
            // A marker is a word of its own, whatever stands beside it; but a blank behind two dashes makes a comment of what follows.
            let is_behind_dash = text.last() == Some(&b'-');
            let is_negative = value.first() == Some(&b'-');
            match (is_behind_dash, is_negative) {
                (true, true) => text.extend_from_slice(&[b"(".as_slice(), &value, b")"].concat()),
                (true, false) => text.extend_from_slice(&value),
                (false, _) => text.extend_from_slice(&[b" ".as_slice(), &value].concat()),
            }
            text.push(b' ');
            copied = range.end;
        }
        text.extend_from_slice(&statement.text[copied..]);
        Ok(text)
    }

    /// A user variable's value as a literal: text as its client would write it, or in the connection's character set, as MySQL converts it.
    fn value_of(&self, variable: &Name) -> Vec<u8> {
        let Some(literal) = self.state.variables.get(variable.key()) else { return b"NULL".to_vec() };
        let written = String::from_utf8_lossy(literal);
        if let Some(digits) = unsigned_digits(&written) {
            return digits.as_bytes().to_vec();
        }
        let text = written.strip_prefix('_').and_then(|rest| rest.split_once(" X'"));
        let Some((charset, rest)) = text else { return literal.to_vec() };
        let digits = rest.split('\'').next().unwrap_or_default();
        let bytes = || bytes_of(digits);
        let is_own = charset == self.state.lexical.charset_name;
        if is_own || ASCII_IS_ASCII.contains(&charset) && bytes().is_ascii() {
            return quoted(&bytes(), self.state.lexical.reading());
        }
        let collation = &self.state.lexical.collation;
        let connection = collation.split('_').next().unwrap_or_default();
        match charset == "binary" || connection.is_empty() || connection == charset {
            true => format!("_{charset} X'{digits}'").into_bytes(),
            false => format!("CONVERT(_{charset} X'{digits}' USING {connection})").into_bytes(),
        }
    }

    /// Refuses where a query may have assigned user variables: what they hold only its connection knows.
    fn check_variables_known(&self) -> Result<(), ProxyError> {
        match self.state.assigned_on {
            None => Ok(()),
            Some(_) => Err(ClientError::not_supported(
                "PREPARE and EXECUTE over several shards with user variables that a query may have assigned",
            )
            .into()),
        }
    }

    /// DEALLOCATE PREPARE.
    pub(super) async fn deallocate_in_sql(&mut self, name: &Name) -> Result<(), ProxyError> {
        match self.sql_statements.remove(name) {
            Some(_) => {
                self.state.row_count = 0;
                self.state.warnings.clear();
                self.reply_ok().await
            }
            None => Err(unknown(name, "DEALLOCATE PREPARE").into()),
        }
    }
}

/// What MySQL prepares in no statement, and what would be prepared twice.
fn check_may_be_prepared(statement: &ClientStatement) -> Result<(), ProxyError> {
    if matches!(statement.plan.verb(), Verb::Prepare | Verb::Execute | Verb::Deallocate) {
        let message = "This command is not supported in the prepared statement protocol yet";
        return Err(ClientError::new(ErrorCode::NOT_PREPARABLE, message).into());
    }
    Ok(())
}

fn unknown(name: &Name, given_to: &str) -> ClientError {
    let message = format!("Unknown prepared statement handler ({name}) given to {given_to}");
    ClientError::new(ErrorCode::UNKNOWN_STATEMENT, message)
}

/// The bytes that hexadecimal digits say.
fn bytes_of(digits: &str) -> Vec<u8> {
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or_default() as u8;
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte: u8, digit| (byte << 4) | value(*digit));
    digits.as_bytes().chunks(2).map(byte).collect()
}
