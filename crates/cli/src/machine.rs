//! What this machine is.

use reseed_protocol::messages::Machine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What reports and the provenance call this process.
pub(crate) fn process() -> String {
    format!("{} (process {})", host(), std::process::id())
}

/// Name of this machine.
pub(crate) fn host() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// This machine, for reports.
pub(crate) fn describe(threads: usize) -> Machine {
    let memory = rustix::system::sysinfo();
    Machine {
        architecture: std::env::consts::ARCH.into(),
        cpu_features: cpu_features(),
        threads: u32::try_from(threads).unwrap_or(u32::MAX),
        memory_bytes: memory.totalram as u64 * u64::from(memory.mem_unit),
    }
}

/// Files and connections that this process may have open, after asking for as many as the system
/// gives. Where it gives no number, there is no limit.
pub(crate) fn open_files_max() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limits.maximum,
        ..limits
    };
    // If the system refuses, the limit stays what it is.
    let limit = match setrlimit(Resource::Nofile, all) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Vector extensions that this processor has, of those that make a difference to speed.
#[cfg(target_arch = "x86_64")]
pub(crate) fn cpu_features() -> Vec<String> {
    let found = [
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("sse4.1", is_x86_feature_detected!("sse4.1")),
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    let found = found.into_iter().filter(|(_, there)| *there);
    found.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn cpu_features() -> Vec<String> {
    Vec::new()
}

/// Those of them that the simulation makes use of here: random words are drawn with the widest of
/// AVX2, AVX, SSE4.1 and SSSE3, exponentials and logarithms computed with fused operations.
pub(crate) fn cpu_features_used() -> Vec<String> {
    let found = cpu_features();
    let has = |name: &&str| found.iter().any(|there| there == name);
    let words = ["avx2", "avx", "sse4.1", "ssse3"].into_iter().find(has);
    let functions = Some("fma").filter(has);
    let used = words.into_iter().chain(functions);
    used.map(str::to_owned).collect()
}
