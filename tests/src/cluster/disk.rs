//! A disk that forgets what was not synchronised.
//!
//! Contents and names live twice: as programs see them, and as they would be found after a power
//! cut. `sync` makes a file's contents last, `sync_names` the names of a folder; everything else
//! is left to chance when the power fails. A killed program loses nothing that it has written,
//! but it may be killed between any two operations, or in the middle of an `append`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use reseed_results::{Folder, Layout, PartFile, ResultsError, RunIdentity};

use super::Bug;
use super::chance::Chance;
use super::faults::Fault;
use super::log::Log;
use super::material::{Material, is_part};

type Bytes = Rc<Vec<u8>>;

/// Contents of a file, whatever its names.
#[derive(Debug, Clone, Default)]
struct Contents {
    seen: Bytes,
    lasting: Bytes,
}

/// A change of names that a power cut may undo.
#[derive(Debug, Clone)]
struct Change {
    name: String,
    file: u64,
    kind: ChangeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    Add,
    /// The name goes.
    Remove,
    /// The name goes because the file got another one just before: never without that.
    MoveAway,
}

/// A disk.
#[derive(Debug)]
pub(super) struct Disk {
    chance: Chance,
    log: Rc<Log>,
    label: String,
    files: BTreeMap<u64, Contents>,
    next_file: u64,
    seen: BTreeMap<String, u64>,
    lasting: BTreeMap<String, u64>,
    changes: Vec<Change>,
    is_full: bool,
    /// So many of the next synchronisations fail.
    failing_syncs: u32,
}

impl Disk {
    pub(super) fn new(label: String, chance: Chance, log: Rc<Log>) -> Self {
        Self {
            chance,
            log,
            label,
            files: BTreeMap::new(),
            next_file: 0,
            seen: BTreeMap::new(),
            lasting: BTreeMap::new(),
            changes: Vec::new(),
            is_full: false,
            failing_syncs: 0,
        }
    }

    pub(super) fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub(super) fn set_failing_syncs(&mut self, count: u32) {
        self.failing_syncs = count;
    }

    /// Removes everything, for good.
    pub(super) fn wipe(&mut self) {
        self.files.clear();
        self.seen.clear();
        self.lasting.clear();
        self.changes.clear();
    }

    /// What a file would hold if the power failed now and chance undid all it can.
    pub(super) fn lasting(&self, name: &str) -> Option<&Bytes> {
        Some(&self.files[self.lasting.get(name)?].lasting)
    }

    /// Files of a folder as programs see them, with their contents, by name.
    pub(super) fn seen_in(&self, folder: &str) -> Vec<(String, Bytes)> {
        let names = self
            .seen
            .iter()
            .filter(|(name, _)| folder_of(name) == folder);
        names
            .map(|(name, file)| (name.clone(), Rc::clone(&self.files[file].seen)))
            .collect()
    }

    /// The power fails: chance decides about whatever was not synchronised.
    pub(super) fn cut_power(&mut self) {
        let mut previous_done = true;
        for change in std::mem::take(&mut self.changes) {
            let done = match change.kind {
                ChangeKind::MoveAway => previous_done && self.chance.one_in(2),
                ChangeKind::Add | ChangeKind::Remove => self.chance.one_in(2),
            };
            previous_done = done;
            if done {
                self.make_last(&change);
            } else {
                self.log.count(Fault::NameUndone);
                let Change { name, kind, .. } = &change;
                let label = &self.label;
                self.log
                    .say(format_args!("{label}: power cut undoes {kind:?} of {name}"));
            }
        }
        self.seen = self.lasting.clone();
        let named: BTreeSet<u64> = self.seen.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
        let label = &self.label;
        for (file, contents) in &mut self.files {
            if Rc::ptr_eq(&contents.seen, &contents.lasting) {
                continue;
            }
            let (left, fault) = remains(contents, &mut self.chance);
            self.log.count(fault);
            self.log.say(format_args!(
                "{label}: power cut leaves {} of {} bytes of file {file}, {fault:?}",
                left.len(),
                contents.seen.len()
            ));
            contents.seen = Rc::new(left);
            contents.lasting = Rc::clone(&contents.seen);
        }
    }

    /// Changes a bit of a file in a folder, on the disk itself. Returns its name if there is one.
    pub(super) fn decay(&mut self, prefix: &str) -> Option<String> {
        let names = self
            .seen
            .keys()
            .filter(|name| name.starts_with(prefix) && is_part(name));
        let names: Vec<&String> = names.collect();
        let name = (!names.is_empty()).then(|| self.chance.pick(&names).clone())?;
        let contents = self.files.get_mut(&self.seen[&name])?;
        let mut bytes = contents.seen.to_vec();
        let at = self.chance.position(bytes.len().checked_sub(1)?);
        bytes[at] ^= 1 << self.chance.below(8);
        contents.seen = Rc::new(bytes);
        contents.lasting = Rc::clone(&contents.seen);
        Some(name)
    }

    fn make_last(&mut self, change: &Change) {
        match change.kind {
            ChangeKind::Add => {
                self.lasting.insert(change.name.clone(), change.file);
            }
            ChangeKind::Remove | ChangeKind::MoveAway => {
                if self.lasting.get(&change.name) == Some(&change.file) {
                    self.lasting.remove(&change.name);
                }
            }
        }
    }

    fn find(&self, name: &str) -> io::Result<u64> {
        self.seen
            .get(name)
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        Ok(Rc::clone(&self.files[&self.find(name)?].seen))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let file = if let Some(file) = self.seen.get(name) {
            *file
        } else {
            self.next_file += 1;
            self.files.insert(self.next_file, Contents::default());
            self.seen.insert(name.to_owned(), self.next_file);
            self.note(name, self.next_file, ChangeKind::Add);
            self.next_file
        };
        let taken = if self.is_full {
            self.chance.position(bytes.len())
        } else {
            bytes.len()
        };
        let contents = self.files.get_mut(&file).expect("a named file");
        Rc::make_mut(&mut contents.seen).extend_from_slice(&bytes[..taken]);
        if self.is_full {
            self.log.count(Fault::DiskFull);
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space left on device",
            ));
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let file = self.find(name)?;
        self.fail_sync()?;
        let contents = self.files.get_mut(&file).expect("a named file");
        contents.lasting = Rc::clone(&contents.seen);
        Ok(())
    }

    fn sync_names(&mut self, folder: &str) -> io::Result<()> {
        self.fail_sync()?;
        let changes = std::mem::take(&mut self.changes);
        let mut arrived = false;
        for (at, change) in changes.iter().enumerate() {
            // A file that moves away from here must have arrived where it moves to.
            let leaves_here = changes.get(at + 1).is_some_and(|next| {
                next.kind == ChangeKind::MoveAway && folder_of(&next.name) == folder
            });
            let lasts = folder_of(&change.name) == folder || leaves_here;
            if lasts {
                self.make_last(change);
            } else {
                // What has arrived may still be found where it was, but is not lost.
                let kind = if arrived && change.kind == ChangeKind::MoveAway {
                    ChangeKind::Remove
                } else {
                    change.kind
                };
                let change = change.clone();
                self.changes.push(Change { kind, ..change });
            }
            arrived = lasts;
        }
        Ok(())
    }

    fn fail_sync(&mut self) -> io::Result<()> {
        if self.failing_syncs == 0 {
            return Ok(());
        }
        self.failing_syncs -= 1;
        self.log.count(Fault::SyncFailed);
        Err(io::Error::other("input/output error"))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.find(from)?;
        self.seen.remove(from);
        self.seen.insert(to.to_owned(), file);
        self.note(to, file, ChangeKind::Add);
        self.note(from, file, ChangeKind::MoveAway);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let file = self.find(name)?;
        self.seen.remove(name);
        self.note(name, file, ChangeKind::Remove);
        Ok(())
    }

    fn note(&mut self, name: &str, file: u64, kind: ChangeKind) {
        self.changes.push(Change {
            name: name.to_owned(),
            file,
            kind,
        });
    }
}

/// What a power cut leaves of a file that was written and not synchronised.
fn remains(contents: &Contents, chance: &mut Chance) -> (Vec<u8>, Fault) {
    let (seen, lasting) = (&contents.seen, &contents.lasting);
    let from = lasting.len().min(seen.len());
    match chance.below(5) {
        0 => (seen.to_vec(), Fault::WriteSurvived),
        1 | 2 => (lasting.to_vec(), Fault::WriteLost),
        3 => {
            let left = from + chance.position(seen.len() - from);
            (seen[..left].to_vec(), Fault::WriteTorn)
        }
        _ => {
            // The length was noted, not all of the bytes.
            let left = from + chance.position(seen.len() - from);
            let mut bytes = seen[..left].to_vec();
            bytes.resize(seen.len(), 0);
            (bytes, Fault::WriteZeroed)
        }
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The life of a program, seen from the files it uses.
#[derive(Default)]
pub(super) struct Life {
    is_over: Cell<bool>,
    /// File operations until it is killed.
    dies_in: Cell<Option<u64>>,
    /// What happens elsewhere before one of the file operations, and how many are left until then.
    interruption: RefCell<Option<Interruption>>,
}

type Interruption = (u64, Box<dyn FnOnce()>);

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

impl Life {
    pub(super) fn end(&self) {
        self.is_over.set(true);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Kills the program at one of its next file operations.
    pub(super) fn end_after(&self, operations: u64) {
        self.dies_in.set(Some(operations));
    }

    /// Lets something happen elsewhere right before one of the next file operations.
    pub(super) fn interrupt_after(&self, operations: u64, what: Box<dyn FnOnce()>) {
        *self.interruption.borrow_mut() = Some((operations, what));
    }

    /// Takes back what [`Self::interrupt_after`] has set up, if it has not happened.
    pub(super) fn let_be(&self) -> bool {
        self.interruption.borrow_mut().take().is_some()
    }

    fn interrupt(&self) {
        let due = {
            let mut interruption = self.interruption.borrow_mut();
            match interruption.as_mut() {
                Some((0, _)) => interruption.take(),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some((_, what)) = due {
            what();
        }
    }

    /// Whether the program dies in the operation that begins.
    fn dies_now(&self) -> bool {
        match self.dies_in.get() {
            Some(0) => {
                self.is_over.set(true);
                true
            }
            Some(left) => {
                self.dies_in.set(Some(left - 1));
                false
            }
            None => false,
        }
    }
}

/// A folder on a simulated disk, as one program sees it.
#[derive(Debug, Clone)]
pub(super) struct SimulatedFolder {
    disk: Rc<RefCell<Disk>>,
    life: Rc<Life>,
    material: Rc<Material>,
    log: Rc<Log>,
    bug: Option<Bug>,
    /// What this program believes to be the epoch, if it has [`Bug::FenceAlwaysPasses`].
    epoch: Rc<RefCell<Option<Vec<u8>>>>,
}

impl SimulatedFolder {
    pub(super) fn new(
        disk: Rc<RefCell<Disk>>,
        life: Rc<Life>,
        material: Rc<Material>,
        log: Rc<Log>,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            disk,
            life,
            material,
            log,
            bug,
            epoch: Rc::default(),
        }
    }

    /// Writes a file whole as workers do: beside its place, synchronised, then renamed.
    pub(super) fn write_whole(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        let partial = format!("{folder}/.{name}.partial");
        // What a crash left of an earlier try.
        let _ = self.remove(&partial);
        let written = self
            .append(&partial, bytes)
            .and_then(|()| self.sync(&partial))
            .and_then(|()| self.rename(&partial, &format!("{folder}/{name}")));
        if written.is_err() {
            let _ = self.remove(&partial);
        }
        written.and_then(|()| self.sync_names(folder))
    }

    pub(super) fn bytes(&self, name: &str) -> io::Result<Bytes> {
        self.begin("read", name)?;
        self.disk.borrow().read(name)
    }

    fn begin(&self, what: &str, name: &str) -> io::Result<()> {
        if !self.life.is_over() {
            self.life.interrupt();
        }
        if self.life.is_over() || self.life.dies_now() {
            return Err(gone());
        }
        let label = &self.disk.borrow().label;
        self.log.say(format_args!("{label}: {what} {name}"));
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::other("the program was killed")
}

impl Folder for SimulatedFolder {
    fn names(&self, subfolder: &str) -> io::Result<Vec<String>> {
        self.begin("list", subfolder)?;
        let files = self.disk.borrow().seen_in(subfolder);
        let prefix = if subfolder.is_empty() {
            0
        } else {
            subfolder.len() + 1
        };
        Ok(files
            .into_iter()
            .map(|(name, _)| name[prefix..].to_owned())
            .collect())
    }

    fn make(&self, subfolder: &str) -> io::Result<()> {
        self.begin("make", subfolder)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(name)?.to_vec();
        let believed = self.epoch.borrow();
        Ok(match believed.as_ref() {
            Some(epoch) if name == "epoch" => epoch.clone(),
            _ => bytes,
        })
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(self.bytes(name)?.len() as u64)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let was_alive = !self.life.is_over();
        if let Err(error) = self.begin("append to", name) {
            if was_alive {
                // Killed in the middle.
                let written = self.disk.borrow_mut().chance.position(bytes.len());
                let _ = self.disk.borrow_mut().append(name, &bytes[..written]);
            }
            return Err(error);
        }
        if self.bug == Some(Bug::FenceAlwaysPasses) && name == "epoch.next" {
            *self.epoch.borrow_mut() = Some(bytes.to_vec());
        }
        self.disk.borrow_mut().append(name, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.begin("sync", name)?;
        if self.bug == Some(Bug::SyncDoesNothing) {
            return Ok(());
        }
        self.disk.borrow_mut().sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.begin("rename to", to)?;
        let mut disk = self.disk.borrow_mut();
        disk.rename(from, to)?;
        if self.bug == Some(Bug::CommitsTwice)
            && let Some(to) = to.strip_suffix(".h5")
        {
            let bytes = disk.read(&format!("{to}.h5"))?;
            disk.append(&format!("{to}-again.h5"), &bytes)?;
        }
        Ok(())
    }

    fn sync_names(&self, subfolder: &str) -> io::Result<()> {
        self.begin("sync names of", subfolder)?;
        if self.bug == Some(Bug::NamesAreNotSynced) {
            return Ok(());
        }
        self.disk.borrow_mut().sync_names(subfolder)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.begin("remove", name)?;
        self.disk.borrow_mut().remove(name)
    }

    fn read_part(
        &self,
        name: &str,
        identity: &RunIdentity,
        layout: &Layout,
    ) -> Result<PartFile, ResultsError> {
        let path = self.path(name);
        let bytes = self.bytes(name).map_err(|source| ResultsError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        self.material.read_part(&bytes, path, identity, layout)
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("store").join(name)
    }
}

#[cfg(test)]
mod tests {
    use reseed_results::Store;

    use super::*;
    use crate::cluster::chance::Purpose;
    use crate::cluster::material::Maker;

    struct Bench {
        disk: Rc<RefCell<Disk>>,
        material: Rc<Material>,
        log: Rc<Log>,
    }

    impl Bench {
        fn new(seed: u64, material: &Rc<Material>) -> Self {
            let log = Rc::new(Log::new(false));
            let chance = Chance::new(seed, Purpose::Disks);
            let disk = Disk::new("disk".into(), chance, Rc::clone(&log));
            Self {
                disk: Rc::new(RefCell::new(disk)),
                material: Rc::clone(material),
                log,
            }
        }

        fn folder(&self, life: &Rc<Life>) -> SimulatedFolder {
            SimulatedFolder::new(
                Rc::clone(&self.disk),
                Rc::clone(life),
                Rc::clone(&self.material),
                Rc::clone(&self.log),
                None,
            )
        }

        fn open(&self, owner: &str, life: &Rc<Life>) -> Store<SimulatedFolder> {
            let Material {
                identity, layout, ..
            } = &*self.material;
            Store::open_in(self.folder(life), identity, layout, owner).expect("a sound store")
        }
    }

    #[test]
    fn what_is_not_synchronised_may_be_lost_and_what_is_stays() {
        let material = Rc::new(Material::small());
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let bench = Bench::new(seed, &material);
            let folder = bench.folder(&Rc::default());
            folder.append("a", b"12345678").unwrap();
            folder.sync("a").unwrap();
            folder.sync_names("").unwrap();
            folder.append("a", b"abcdefgh").unwrap();
            folder.append("b", b"x").unwrap();
            bench.disk.borrow_mut().cut_power();
            let a = folder.read("a").unwrap();
            assert!(a.starts_with(b"12345678"), "{a:?}");
            seen.insert((a.len(), a.ends_with(b"h"), folder.read("b").ok()));
        }
        for (what, found) in [
            (
                "whole",
                seen.iter()
                    .any(|(length, ends, _)| (*length, *ends) == (16, true)),
            ),
            ("lost", seen.iter().any(|(length, ..)| *length == 8)),
            (
                "torn",
                seen.iter().any(|(length, ..)| (9..16).contains(length)),
            ),
            (
                "zeroed",
                seen.iter()
                    .any(|(length, ends, _)| (*length, *ends) == (16, false)),
            ),
            ("without its name", seen.iter().any(|(.., b)| b.is_none())),
            ("with its name", seen.iter().any(|(.., b)| b.is_some())),
        ] {
            assert!(found, "{what}");
        }
    }

    #[test]
    fn what_a_successor_finds_is_there_after_a_power_cut() {
        let material = Rc::new(Material::small());
        let range = 20..21;
        let part = material.part(&range, Maker::Sound(0));
        let mut found = 0;
        for seed in 0..50 {
            for operations in 0..8 {
                let bench = Bench::new(seed, &material);
                let life = Rc::new(Life::default());
                let mut store = bench.open("first", &life);
                let name = Store::<SimulatedFolder>::incoming_name(&store.mark(), 0);
                store.folder().append(&name, &part.bytes).unwrap();
                let Material {
                    identity, layout, ..
                } = &*material;
                let checked = Store::check(store.folder(), &name, identity, layout).unwrap();
                life.end_after(operations);
                // Killed somewhere on the way, or not.
                let _ = store.commit(&name, &checked);
                life.end();
                let life = Rc::new(Life::default());
                let store = bench.open("second", &life);
                let is_there = store.committed_at(range.start).is_some();
                found += u32::from(is_there);
                drop(store);
                bench.disk.borrow_mut().cut_power();
                let store = bench.open("third", &life);
                assert!(
                    !is_there || store.committed_at(range.start).is_some(),
                    "seed {seed}, killed after {operations} operations"
                );
            }
        }
        assert!(found > 50, "found {found} times");
    }
}
