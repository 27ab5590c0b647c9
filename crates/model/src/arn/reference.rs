//! What an input may write for a resource: its name or its ARN, and for definitions a revision as well.
//! Whether the resource exists, and is the caller's, is for handlers.

use super::{Arn, ArnError, ArnKind, ArnResource, is_name};

/// A resource that an input names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The resource's name; a quota share's without its queue.
    pub name: String,
    /// The ARN, if that is what was written.
    pub arn: Option<Arn>,
}

/// A job definition that an input names (spec jobs §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionReference {
    /// The name that all revisions share.
    pub name: String,
    /// The revision, from 1; without it the latest active one is meant.
    pub revision: Option<u32>,
    /// The ARN, if that is what was written.
    pub arn: Option<Arn>,
}

/// The resource of that kind that `text` names, by name or ARN. Jobs have ids, not names: parse a `JobId` for them.
///
/// # Errors
/// The text is neither a possible name nor an ARN of such a resource.
pub fn name_or_arn(kind: ArnKind, text: &str) -> Result<Reference, ArnError> {
    if !text.starts_with("arn:") {
        let plain = is_name(text).then(|| Reference { name: text.to_owned(), arn: None });
        return plain.ok_or(ArnError::NotAName);
    }
    let arn = of_kind(kind, text)?;
    let name = match &arn.resource {
        ArnResource::ComputeEnvironment(name)
        | ArnResource::ConsumableResource(name)
        | ArnResource::JobDefinition { name, .. }
        | ArnResource::JobQueue(name)
        | ArnResource::QuotaShare { name, .. }
        | ArnResource::SchedulingPolicy(name)
        | ArnResource::ServiceEnvironment(name) => name.clone(),
        ArnResource::Job(id) => id.to_string(),
        ArnResource::ServiceJob(id) => id.to_string(),
    };
    Ok(Reference { name, arn: Some(arn) })
}

fn of_kind(wanted: ArnKind, text: &str) -> Result<Arn, ArnError> {
    let arn: Arn = text.parse()?;
    let got = arn.kind();
    if got == wanted { Ok(arn) } else { Err(ArnError::WrongKind { wanted, got }) }
}

impl Reference {
    /// Whether it can mean a resource of that account and Region: a plain name always can.
    pub fn is_in(&self, region: &str, account: &str) -> bool {
        self.arn.as_ref().is_none_or(|arn| arn.is_in(region, account))
    }
}

impl DefinitionReference {
    /// The definition that `text` names: `name`, `name:revision`, or an ARN with or without a revision.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        if !text.starts_with("arn:") {
            return Self::parse_plain(text).ok_or(ArnError::NotAName);
        }
        let arn = of_kind(ArnKind::JobDefinition, text)?;
        match &arn.resource {
            ArnResource::JobDefinition { name, revision } => {
                Ok(Self { name: name.clone(), revision: *revision, arn: Some(arn) })
            }
            _ => Err(ArnError::NoSuchForm),
        }
    }

    /// `name` or `name:revision`.
    pub(super) fn parse_plain(text: &str) -> Option<Self> {
        let (name, revision) = match text.split_once(':') {
            None => (text, None),
            Some((name, revision)) => {
                (name, Some(crate::ids::number(revision).filter(|number| *number > 0)?))
            }
        };
        is_name(name).then(|| Self { name: name.to_owned(), revision, arn: None })
    }

    /// Whether it can mean a definition of that account and Region: a plain name always can.
    pub fn is_in(&self, region: &str, account: &str) -> bool {
        self.arn.as_ref().is_none_or(|arn| arn.is_in(region, account))
    }
}
