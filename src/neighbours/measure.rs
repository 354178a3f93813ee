//! How far clients stand from one subject, by tickets and attributes.

use super::distance::{DistanceRule, Sum};
use super::{Profiles, Subject};
use crate::domain::ClientNo;

/// What a subject's clients are measured by.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) profiles: &'a Profiles,
    pub(super) rule: &'a DistanceRule,
}

impl Measure<'_> {
    /// The mean squared difference of a client's attributes, where the rule asks for it; found once,
    /// in `found`, by client.
    #[inline]
    pub(super) fn difference(&self, found: &mut [f32], client: ClientNo) -> Option<f64> {
        if self.rule.attribute_weight <= 0.0 {
            return None;
        }
        let found = &mut found[client.index()];
        if found.is_nan() {
            let other = self.profiles.of_client(client);
            let (sum, shared) = self.subject.profile.difference(&other);
            *found = match shared {
                0 => -1.0,
                _ => sum / shared as f32,
            };
        }
        (*found >= 0.0).then(|| f64::from(*found))
    }

    /// The distance of a client's sums; of one without any evidence that of strangers.
    #[inline]
    pub(super) fn distance(&self, sum: Sum, difference: Option<f64>) -> f64 {
        let (total, evidence) = self.rule.parts(sum, difference);
        match evidence > 0.0 {
            true => total / evidence,
            false => self.rule.spread,
        }
    }
}
