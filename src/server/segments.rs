//! `InsightService.ListSegments`.

use tonic::{Request, Response, Status};

use super::Api;
use super::access::Caller;
use super::form::Form;
use super::insights::{Summed, found};
use crate::insight::{Feature, Mark, Sums};
use crate::wire::v1;

impl Api {
    /// `InsightService.ListSegments`.
    pub(super) async fn segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let tenant = self.gate.tenant(&caller, &form.finish(portfolio)?)?;
        let answer = self.compute.run(&caller, move || {
            let insighted = tenant.insights()?;
            let rows = found(&insighted, &request.filter.unwrap_or_default())?;
            let scored = tenant.scored_already()?;
            let summed = Summed::of(&insighted, scored.as_deref());
            let mut sums = vec![Sums::default(); insighted.segments().len()];
            let mut without = 0;
            for (_, insight) in rows {
                match insight.facts.segment.map(usize::from) {
                    Some(segment) => summed.add(&mut sums[segment], insight),
                    None => without += 1,
                }
            }
            let segments = insighted.segments().iter().zip(&sums);
            let segments = segments.map(|(segment, sums)| {
                let id = segment.id.to_string();
                v1::Segment {
                    marks: segment.marks.iter().map(mark).collect(),
                    sums: Some(summed.to_wire(v1::SummaryGroup::Segment, id.clone(), sums)),
                    segment_id: id,
                    learnt_from: segment.learnt_from as u64,
                }
            });
            let learnt = insighted.past.segments.as_ref();
            let tried = learnt.map_or(&[][..], |learnt| &learnt.silhouettes);
            let book = &insighted.moment.book;
            Ok(v1::ListSegmentsResponse {
                currency: book.portfolio().currency.to_string(),
                as_of_date: insighted.insights.as_of.to_string(),
                segments: segments.collect(),
                clients_without_segment: without,
                tried: tried
                    .iter()
                    .map(|(segments, silhouette)| v1::SegmentCount {
                        segments: *segments as u32,
                        silhouette: *silhouette,
                    })
                    .collect(),
                is_learnt: learnt.is_some(),
                learnt_sequence: learnt.map_or(0, |_| insighted.past.sequence),
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }
}

fn mark(mark: &Mark) -> v1::SegmentMark {
    use v1::SegmentFeature::{Mix, Number, Size, Value};
    let (feature, name, value) = match &mark.feature {
        Feature::Mix(group) => (Mix, group.as_str(), ""),
        Feature::Size => (Size, "", ""),
        Feature::Number(name) => (Number, name.as_str(), ""),
        Feature::Value(name, value) => (Value, name.as_str(), value.as_str()),
    };
    v1::SegmentMark {
        feature: feature.into(),
        name: name.to_owned(),
        value: value.to_owned(),
        here: mark.here,
        everywhere: mark.everywhere,
        deviation: mark.deviation,
    }
}
