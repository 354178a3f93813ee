//! What is wrong with a request, field by field.

/// One field that cannot be as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request: `sales[3].client_id`.
    pub field: String,
    /// What is wrong with it, and what to send: a sentence without its subject.
    pub reason: String,
}

impl Violation {
    /// A violation of the field at `field`.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}
