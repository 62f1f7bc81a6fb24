//! A network that misbehaves: passes bytes on to a coordinator, changes them, or keeps them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Something between a worker and its coordinator. It stays until the test's process ends.
pub(crate) struct Proxy {
    /// What workers take for the coordinator.
    pub(crate) url: String,
    wire: Arc<Wire>,
}

/// Whether bytes pass.
#[derive(Default)]
struct Wire {
    cut: Mutex<bool>,
    mended: Condvar,
}

/// Changes what a worker sends, in place.
pub(crate) type Tamper = Box<dyn FnMut(&mut [u8]) + Send>;

impl Proxy {
    /// Stands before the coordinator at this URL.
    pub(crate) fn before(url: &str, tamper: Tamper) -> Self {
        let to = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let wire = Arc::new(Wire::default());
        let (of_wire, tamper) = (Arc::clone(&wire), Arc::new(Mutex::new(tamper)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                of_wire.wait_while_cut();
                let stream = stream.expect("a connection");
                // Nobody may be there, which the worker then sees too.
                if let Ok(coordinator) = TcpStream::connect(&to) {
                    join(&of_wire, stream, coordinator, &tamper);
                }
            }
        });
        Self {
            url: format!("http://{address}"),
            wire,
        }
    }

    /// From now on nothing passes, though no connection is closed.
    pub(crate) fn cut(&self) {
        *self.wire.cut.lock().expect("a flag") = true;
    }

    /// What was held back passes, and everything else.
    pub(crate) fn mend(&self) {
        *self.wire.cut.lock().expect("a flag") = false;
        self.wire.mended.notify_all();
    }
}

impl Wire {
    fn wait_while_cut(&self) {
        let cut = self.cut.lock().expect("a flag");
        drop(self.mended.wait_while(cut, |cut| *cut).expect("a flag"));
    }
}

/// Passes bytes both ways.
fn join(wire: &Arc<Wire>, worker: TcpStream, coordinator: TcpStream, tamper: &Arc<Mutex<Tamper>>) {
    let another = |stream: &TcpStream| stream.try_clone().expect("a handle");
    let (from, to) = (another(&worker), another(&coordinator));
    let (wire_there, tamper) = (Arc::clone(wire), Arc::clone(tamper));
    thread::spawn(move || {
        let change = |bytes: &mut [u8]| tamper.lock().expect("nobody panics with it")(bytes);
        pump(&wire_there, from, to, change);
    });
    let wire_back = Arc::clone(wire);
    thread::spawn(move || pump(&wire_back, coordinator, worker, |_| {}));
}

fn pump(wire: &Wire, mut from: TcpStream, mut to: TcpStream, mut change: impl FnMut(&mut [u8])) {
    let mut buffer = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..length]);
        wire.wait_while_cut();
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // Either may be closed already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// How every HDF5 file begins.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Where in the file the byte is that changes.
const FLIPPED_AT: usize = 600;

/// Flips a bit in each of the next `files` parts that pass, and counts them in `flipped`.
pub(crate) fn flip_in_parts(files: usize, flipped: Arc<Mutex<usize>>) -> Tamper {
    let mut search = Search::new(HDF5);
    // Bytes to pass before the one to change.
    let mut ahead = None;
    Box::new(move |bytes| {
        for byte in bytes {
            let mut flipped = flipped.lock().expect("a number");
            if ahead == Some(0) {
                *byte ^= 1;
                *flipped += 1;
            }
            ahead = ahead.and_then(|ahead: usize| ahead.checked_sub(1));
            if search.ends_with(*byte) && *flipped < files {
                ahead = Some(FLIPPED_AT - HDF5.len());
            }
        }
    })
}

/// Passes nothing any more once this text has come in one piece.
pub(crate) fn hold_from(text: &'static str) -> Tamper {
    Box::new(move |bytes| {
        while bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
        {
            thread::park();
        }
    })
}

/// Replaces one text by another of the same length wherever it passes in one piece.
pub(crate) fn replace(from: String, to: String) -> Tamper {
    assert_eq!(from.len(), to.len());
    Box::new(move |bytes| {
        for start in 0..bytes.len() {
            if bytes[start..].starts_with(from.as_bytes()) {
                bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
            }
        }
    })
}

/// Looks for a text in bytes that come in pieces. No proper beginning of the text may be an end
/// of it.
struct Search {
    text: &'static [u8],
    matched: usize,
}

impl Search {
    fn new(text: &'static [u8]) -> Self {
        Self { text, matched: 0 }
    }

    /// Takes a byte; true if the text ends with it.
    fn ends_with(&mut self, byte: u8) -> bool {
        if byte != self.text[self.matched] {
            self.matched = 0;
        }
        if byte == self.text[self.matched] {
            self.matched += 1;
        }
        let found = self.matched == self.text.len();
        if found {
            self.matched = 0;
        }
        found
    }
}
