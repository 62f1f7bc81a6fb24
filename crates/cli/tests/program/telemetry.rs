//! Traces: what a collector receives from a cluster, in programs built with the feature `otel`.
#![cfg(feature = "otel")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::bench::Bench;
use crate::cluster::process::{COORDINATE, Process, announced};

/// A collector that keeps what it receives.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.lock().expect("no test panics here").extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts to collect, and returns where.
    fn start(&self, runtime: &Runtime) -> SocketAddr {
        let _inside = runtime.enter();
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = incoming.local_addr().expect("it is bound");
        let service = TraceServiceServer::new(self.clone());
        runtime.spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );
        address
    }
}

/// The text of an attribute.
fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

#[test]
fn a_shard_is_one_trace_from_its_computing_to_its_commit() {
    let bench = Bench::new();
    let runtime = Runtime::new().expect("threads");
    let collector = Collector::default();
    let endpoint = format!("http://{}", collector.start(&runtime));
    let start = |line: &str| {
        let mut command = bench.command(line);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        Process::spawn(command)
    };
    let (running, url) = announced(start(&format!("{COORDINATE} --listen 127.0.0.1:0")));
    let worker = start(&format!("work --connect {url} --threads 1 --name ada"));
    running.ends(0);
    worker.ends(0);

    let spans = collector.0.lock().expect("nobody panicked").clone();
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|s| (&s.span_id[..], s)).collect();
    let parent = |span: &Span| by_id.get(&span.parent_span_id[..]).copied();
    let commits: Vec<&Span> = spans.iter().filter(|span| span.name == "commit").collect();
    assert!(commits.len() >= 50, "{} commits", commits.len());
    for commit in commits {
        // What the coordinator did for a call of the worker for one of its shards.
        let path: Vec<&Span> = std::iter::successors(Some(commit), |span| parent(span)).collect();
        let names: Vec<&str> = path.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["commit", "deliver", "deliver", "shard"]);
        assert!(path.iter().all(|span| span.trace_id == commit.trace_id));
        let [_, served, _, shard] = path[..] else {
            unreachable!("four names")
        };
        assert_eq!(attribute(shard, "worker").as_deref(), Some("ada"));
        assert_eq!(attribute(served, "worker").as_deref(), Some("1"));
        assert!(attribute(shard, "shard").is_some());
        assert_eq!(attribute(served, "shard"), attribute(shard, "shard"));
        assert_eq!(attribute(served, "attempt"), attribute(shard, "attempt"));
        let computed = |span: &&Span| span.name == "compute" && span.trace_id == commit.trace_id;
        assert_eq!(spans.iter().filter(computed).count(), 1);
    }
}
