//! Carries the trace of a call over the wire, so that what a coordinator does about a shard shows
//! within the worker's trace of that shard. The header is `traceparent` (W3C Trace Context).
//! Without the feature `otel` nobody traces, and nothing is carried.

use tonic::metadata::MetadataMap;
use tracing::Span;

/// Adds the span that makes a call to the call's metadata.
pub(crate) fn carry(metadata: &mut MetadataMap) {
    #[cfg(feature = "otel")]
    otel::carry(&Span::current(), metadata);
    #[cfg(not(feature = "otel"))]
    let _ = metadata;
}

/// Makes a span the child of the one that made the call with this metadata.
pub fn adopt(span: &Span, metadata: &MetadataMap) {
    #[cfg(feature = "otel")]
    otel::adopt(span, metadata);
    #[cfg(not(feature = "otel"))]
    let _ = (span, metadata);
}

#[cfg(feature = "otel")]
mod otel {
    use opentelemetry::global::get_text_map_propagator;
    use opentelemetry::propagation::{Extractor, Injector};
    use tonic::metadata::{AsciiMetadataKey, KeyRef, MetadataMap};
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    pub(super) fn carry(span: &Span, metadata: &mut MetadataMap) {
        let context = span.context();
        get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut Outgoing(metadata));
        });
    }

    pub(super) fn adopt(span: &Span, metadata: &MetadataMap) {
        let context = get_text_map_propagator(|p| p.extract(&Incoming(metadata)));
        // A span that nobody records has no parent either.
        let _ = span.set_parent(context);
    }

    struct Outgoing<'a>(&'a mut MetadataMap);

    impl Injector for Outgoing<'_> {
        fn set(&mut self, key: &str, value: String) {
            if let (Ok(key), Ok(value)) =
                (AsciiMetadataKey::from_bytes(key.as_bytes()), value.parse())
            {
                self.0.insert(key, value);
            }
        }
    }

    struct Incoming<'a>(&'a MetadataMap);

    impl Extractor for Incoming<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            let text = |key| match key {
                KeyRef::Ascii(key) => Some(key.as_str()),
                KeyRef::Binary(_) => None,
            };
            self.0.keys().filter_map(text).collect()
        }
    }
}
