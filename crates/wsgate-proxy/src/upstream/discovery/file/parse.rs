//! The lines of a file of endpoints.

use std::{collections::HashMap, num::NonZeroU32, str::FromStr};

use crate::{Endpoint, EndpointError, upstream::EndpointSettings};

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointLineError {
    /// It does not begin with an endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// What follows the endpoint cannot be understood.
    #[error("`{0}` is no option of an endpoint: there are weight=N, max-tunnels=N and backup")]
    Option(String),
    /// The endpoint stands in an earlier line already.
    #[error("{endpoint} stands in line {line} already: give it a weight there instead")]
    Twice {
        /// The endpoint.
        endpoint: String,
        /// The number of the earlier line, from 1.
        line: usize,
    },
}

/// A line of a file of endpoints: `http://10.0.0.1:9000 weight=2 backup`.
impl FromStr for EndpointSettings {
    type Err = EndpointLineError;

    fn from_str(line: &str) -> Result<Self, EndpointLineError> {
        match settings(line)? {
            Some(settings) => Ok(settings),
            None => Err(EndpointError::syntax(line).into()),
        }
    }
}

/// The endpoints, or what is wrong with which line.
pub(crate) fn parse(text: &str) -> Result<Vec<EndpointSettings>, (usize, EndpointLineError)> {
    let mut lines: HashMap<Endpoint, usize> = HashMap::new();
    let mut set = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some(settings) = settings(line).map_err(|error| (number, error))? else {
            continue;
        };
        if let Some(&line) = lines.get(settings.endpoint()) {
            let endpoint = settings.endpoint().to_string();
            return Err((number, EndpointLineError::Twice { endpoint, line }));
        }
        lines.insert(settings.endpoint().clone(), number);
        set.push(settings);
    }
    Ok(set)
}

/// `None` for a line without an endpoint.
fn settings(line: &str) -> Result<Option<EndpointSettings>, EndpointLineError> {
    let mut words = line.split_whitespace().take_while(|w| !w.starts_with('#'));
    let Some(endpoint) = words.next() else {
        return Ok(None);
    };
    let mut settings = EndpointSettings::new(endpoint)?;
    for word in words {
        let refused = || EndpointLineError::Option(word.to_owned());
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || {
            let number: Option<NonZeroU32> = value.parse().ok();
            number.map(NonZeroU32::get).ok_or_else(refused)
        };
        settings = match name {
            "weight" => settings.weight(number()?),
            "max-tunnels" => settings.max_tunnels(number()?),
            "backup" if word == name => settings.backup(),
            _ => return Err(refused()),
        };
    }
    Ok(Some(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let text = "\
            # a comment\r\n\
            \n\
            http://a:1\r\n\
            \thttp://b:2   weight=3 max-tunnels=10 # and a comment\n\
            unix:/run/a#b.sock backup #\n\
            https://c";
        let set = parse(text).unwrap();
        let told = set.iter().map(|s| {
            let name = s.endpoint().to_string();
            (name, s.weight, s.max_tunnels, s.is_backup)
        });
        let expected = [
            ("http://a:1".to_owned(), 1, u32::MAX, false),
            ("http://b:2".to_owned(), 3, 10, false),
            ("unix:/run/a#b.sock".to_owned(), 1, u32::MAX, true),
            ("https://c".to_owned(), 1, u32::MAX, false),
        ];
        assert!(told.eq(expected));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn anything_else_is_named_with_its_line() {
        #[track_caller]
        fn check(text: &str, line: usize, expected: &str) {
            let (found, error) = parse(text).unwrap_err();
            let error = error.to_string();
            assert_eq!(found, line, "{error}");
            assert!(error.starts_with(expected), "{error}");
        }
        check("http://a\n\nhttp:/b", 3, "`http:/b` is no endpoint");
        check("weight=2 http://a", 1, "`weight=2` is no endpoint");
        check("http://a/app", 1, "`http://a/app` has a path");
        for option in [
            "weight",
            "weight=",
            "weight=0",
            "weight=-1",
            "weight=1.5",
            "max-tunnels=0",
            "max-tunnels=99999999999",
            "backup=yes",
            "backup=",
            "Backup",
            "down",
            "=",
        ] {
            let text = format!("http://a {option}");
            check(&text, 1, &format!("`{option}` is no option"));
        }
        let twice = "http://a\nhttp://b\nhttp://a weight=2";
        check(twice, 3, "http://a stands in line 1 already");
    }
}
