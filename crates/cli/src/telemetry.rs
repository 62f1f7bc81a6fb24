//! Traces for an OpenTelemetry collector, in programs built with the feature `otel`.
//!
//! The standard's environment variables say where it is (`OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) and what else it should know (`OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`); spans go there with OTLP over gRPC. Without them nothing is traced.

use std::env;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// What sends traces until it is dropped.
pub(crate) struct Telemetry {
    _exporter: Option<exporter::Exporter>,
    problem: Option<String>,
}

impl Telemetry {
    /// Says why there are no traces, if somebody wants them.
    pub(crate) fn report(&self) {
        if let Some(problem) = &self.problem {
            tracing::warn!("no traces are sent: {problem}");
        }
    }
}

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// A layer that records spans, if a collector was named.
pub(crate) fn start<S>() -> (Option<BoxedLayer<S>>, Telemetry)
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let is_wanted = ENDPOINTS.iter().any(|name| env::var_os(name).is_some());
    let (layer, exporter, problem) = match is_wanted.then(exporter::start) {
        None => (None, None, None),
        Some(Ok((layer, exporter))) => (Some(layer), Some(exporter), None),
        Some(Err(problem)) => (None, None, Some(problem)),
    };
    let telemetry = Telemetry {
        _exporter: exporter,
        problem,
    };
    (layer, telemetry)
}

#[cfg(not(feature = "otel"))]
mod exporter {
    use super::BoxedLayer;

    /// There is none.
    pub(super) enum Exporter {}

    pub(super) fn start<S>() -> Result<(BoxedLayer<S>, Exporter), String> {
        let problem = "this program was built without OpenTelemetry, build it with --features otel";
        Err(problem.into())
    }
}

#[cfg(feature = "otel")]
mod exporter {
    use opentelemetry::global;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::SpanExporter;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tokio::runtime::{Builder, Runtime};
    use tracing::Subscriber;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::Layer;
    use tracing_subscriber::registry::LookupSpan;

    use super::BoxedLayer;

    /// Name of all processes, unless the environment has another.
    const SERVICE: &str = "reseed";
    /// Calls within the libraries that send traces are not traced.
    const OWN: &str = "reseed";

    /// Sends spans from a thread of its own.
    pub(super) struct Exporter {
        provider: SdkTracerProvider,
        /// The exporter's calls run here; it goes after the last of them.
        _runtime: Runtime,
    }

    impl Drop for Exporter {
        fn drop(&mut self) {
            // Sends what is left. Nobody is there any more to be told that it was lost.
            let _ = self.provider.shutdown();
        }
    }

    pub(super) fn start<S>() -> Result<(BoxedLayer<S>, Exporter), String>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telemetry")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let inside = runtime.enter();
        let exporter = SpanExporter::builder().with_tonic().build();
        let exporter = exporter.map_err(|error| error.to_string())?;
        let resource = if std::env::var_os("OTEL_SERVICE_NAME").is_some() {
            Resource::builder().build()
        } else {
            Resource::builder().with_service_name(SERVICE).build()
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        let is_own = tracing_subscriber::filter::filter_fn(|metadata| {
            metadata.target().starts_with(OWN) && *metadata.level() <= LevelFilter::INFO
        });
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(SERVICE))
            .with_filter(is_own)
            .boxed();
        drop(inside);
        let exporter = Exporter {
            provider,
            _runtime: runtime,
        };
        Ok((layer, exporter))
    }
}
