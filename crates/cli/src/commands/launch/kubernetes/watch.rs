//! Waiting for a run on a cluster.

use serde_json::Value;

use super::super::look_until;
use super::kubectl::Kubectl;
use super::manifests::Run;
use crate::exit::{Exit, Failure};
use crate::output::Chatter;

/// How often looking may fail in a row. An API server that is restarted or moved answers again
/// within that.
const LOOKS_FAILED_MAX: u32 = 60;
/// Lines that a coordinator ends with.
const LAST_LINES: &str = "--tail=2";
/// Exits that would come again. Older clusters try again nevertheless.
const FINAL: [Exit; 4] = [Exit::Usage, Exit::File, Exit::Mismatch, Exit::Internal];

/// Where the Job of a coordinator stands.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    /// The Job has given up, for this reason.
    Failed(String),
}

/// Shows progress until the coordinator's Job has ended, and fails as the coordinator did.
///
/// Workers may take longer to end: a node that is cut off says nothing of its pods.
pub(super) fn wait(kubectl: &Kubectl, run: &Run, chatter: Chatter) -> Result<(), Failure> {
    let job = run.object("coordinator");
    let mut told = String::new();
    let ended = look_until(LOOKS_FAILED_MAX, || {
        Ok(match look(kubectl, &job)? {
            (State::Complete, _) => Some(Ok(())),
            (State::Failed(reason), pods) => Some(Err(failure(kubectl, &pods, &reason))),
            (State::Running, pods) => {
                let news = news(kubectl, &pods).unwrap_or_default();
                if !news.is_empty() && news != told && chatter.progress {
                    chatter.say(&news);
                    told = news;
                }
                None
            }
        })
    })?;
    ended?;
    tell_end(kubectl, &job, &told, chatter);
    Ok(())
}

/// Where the Job stands, and its pods, the newest last.
fn look(kubectl: &Kubectl, job: &str) -> Result<(State, Vec<Value>), Failure> {
    let found = kubectl.json(&["get", "job", job])?;
    let selector = format!("--selector=job-name={job}");
    let sort = "--sort-by=.metadata.creationTimestamp";
    let pods = kubectl.json(&["get", "pods", &selector, sort])?;
    // Those of a Job of the same name that was removed may be there still.
    let is_its_own =
        |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"];
    let pods: Vec<Value> = pods["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|pod| is_its_own(pod))
        .cloned()
        .collect();
    let is_final = |code| FINAL.iter().any(|exit| code == *exit as u64);
    let state = match (state(&found), last_exit(&pods)) {
        (State::Running, Some((_, code))) if is_final(code) => State::Failed(String::new()),
        (state, _) => state,
    };
    Ok((state, pods))
}

fn state(job: &Value) -> State {
    let conditions = job["status"]["conditions"].as_array();
    let mut holding = conditions
        .into_iter()
        .flatten()
        .filter(|condition| is_true(condition));
    holding
        .find_map(|condition| match text(condition, "type") {
            "Complete" => Some(State::Complete),
            "Failed" => Some(State::Failed(text(condition, "message").to_owned())),
            _ => None,
        })
        .unwrap_or(State::Running)
}

/// What the coordinator says, or why it says nothing.
fn news(kubectl: &Kubectl, pods: &[Value]) -> Result<String, Failure> {
    let Some(pod) = pods.last() else {
        return Ok("the coordinator waits for Kubernetes to make its pod".into());
    };
    if let Some(obstacle) = obstacle(pod) {
        return Ok(format!("the coordinator does not run yet: {obstacle}"));
    }
    let name = text(&pod["metadata"], "name");
    let line = kubectl.text(&["logs", name, "--tail=1"])?;
    Ok(line.trim().to_owned())
}

/// Why a pod has not started.
fn obstacle(pod: &Value) -> Option<String> {
    let status = &pod["status"];
    if status["phase"] != "Pending" {
        return None;
    }
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let unscheduled = conditions
        .filter(|condition| text(condition, "type") == "PodScheduled")
        .find(|condition| !is_true(condition));
    let (reason, message) = match unscheduled {
        Some(condition) => (text(condition, "reason"), text(condition, "message")),
        None => (text(waiting, "reason"), text(waiting, "message")),
    };
    Some(format!("{reason} {message}").trim().to_owned())
}

/// Tells what the coordinator said last, and was not told before.
fn tell_end(kubectl: &Kubectl, job: &str, told: &str, chatter: Chatter) {
    let job = format!("job/{job}");
    match kubectl.text(&["logs", &job, LAST_LINES]) {
        Ok(lines) => {
            for line in lines.lines().filter(|line| *line != told) {
                chatter.say(line);
            }
        }
        // The run is complete; only its last words are lost.
        Err(_) => chatter.say("the run is complete"),
    }
}

/// The failure with which the coordinator ended.
fn failure(kubectl: &Kubectl, pods: &[Value], reason: &str) -> Failure {
    let Some((pod, code)) = last_exit(pods) else {
        return Failure::RunFailed(format!("{reason} (none of its coordinators is left)"));
    };
    let said = kubectl.text(&["logs", pod, LAST_LINES]);
    let said = said.unwrap_or_default().trim().replace('\n', "; ");
    of_exit(code, format!("the coordinator ended with {code}: {said}"))
}

/// The pod that ended last, and how.
fn last_exit(pods: &[Value]) -> Option<(&str, u64)> {
    pods.iter().rev().find_map(|pod| {
        let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
        Some((text(&pod["metadata"], "name"), ended["exitCode"].as_u64()?))
    })
}

fn of_exit(code: u64, text: String) -> Failure {
    let is = |exit: Exit| code == exit as u64;
    if is(Exit::Usage) {
        Failure::Usage(text)
    } else if is(Exit::File) {
        Failure::File(text)
    } else if is(Exit::Mismatch) {
        Failure::Mismatch(text)
    } else if is(Exit::Internal) {
        Failure::Internal(text)
    } else {
        Failure::RunFailed(text)
    }
}

fn is_true(condition: &Value) -> bool {
    text(condition, "status") == "True"
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_runs_until_one_of_its_ends_is_true() {
        let with = |conditions| state(&json!({"status": {"conditions": conditions}}));
        assert_eq!(state(&json!({"status": {}})), State::Running);
        assert_eq!(
            with(json!([{"type": "Complete", "status": "False"}])),
            State::Running
        );
        assert_eq!(
            with(json!([
                {"type": "FailureTarget", "status": "True"},
                {"type": "Failed", "status": "True", "message": "why"},
            ])),
            State::Failed("why".into())
        );
        assert_eq!(
            with(json!([{"type": "Complete", "status": "True"}])),
            State::Complete
        );
    }

    #[test]
    fn it_is_told_why_a_pod_has_not_started() {
        let unscheduled = json!({"status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
             "message": "0/2 nodes are available"}]}});
        assert_eq!(
            obstacle(&unscheduled).as_deref(),
            Some("Unschedulable 0/2 nodes are available")
        );
        let without_image = json!({"status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
        assert_eq!(
            obstacle(&without_image).as_deref(),
            Some("ImagePullBackOff")
        );
        assert_eq!(obstacle(&json!({"status": {"phase": "Running"}})), None);
    }

    #[test]
    fn a_launch_ends_as_its_coordinator_did() {
        for exit in [Exit::Usage, Exit::File, Exit::Mismatch, Exit::Internal] {
            assert_eq!(of_exit(exit as u64, String::new()).exit(), exit);
        }
        assert_eq!(of_exit(137, String::new()).exit(), Exit::RunFailed);
    }
}
