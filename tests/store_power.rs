//! The power goes: the file system stops between two instructions and keeps what it was made to
//! sync, no more. What was acknowledged is there when it is mounted again.
//!
//! A loop-mounted ext4 or xfs is shut down by its own ioctl without a flush of its log. That takes
//! root, loop devices and the tools that make the file system; without them a test says that it
//! was skipped. `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod store_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use store_support::worker::{
    Worker, still_whole, write_plain_sled_until_killed, write_until_killed,
};
use store_support::{Dice, tell, times_more};

const ROUNDS: u64 = 30;
/// After so many rounds a new file system, so that founding a store is cut too.
const ROUNDS_A_FILE_SYSTEM: u64 = 6;
/// Rounds of the negative control; about half of them lose something.
const CONTROL_ROUNDS: u64 = 12;

/// A file system in a file, mounted.
struct Mounted {
    kind: &'static str,
    image: PathBuf,
    at: PathBuf,
}

impl Mounted {
    /// Makes one of 512 MiB (sparse), or says why not.
    fn make(kind: &'static str, within: &Path) -> Result<Self, String> {
        let image = within.join("image");
        let at = within.join("mounted");
        std::fs::create_dir_all(&at).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(512 << 20).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image))?;
        let mounted = Self { kind, image, at };
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&self) -> Result<(), String> {
        let kind = ["-t", self.kind, "-o", "loop"];
        run(Command::new("mount")
            .args(kind)
            .args([&self.image, &self.at]))
    }

    /// Cuts it off from its disk: nothing that is not there yet will be.
    fn cut(&self) -> Result<(), String> {
        // EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number; 2 is "without flushing the log".
        let script = "import fcntl, os, struct, sys\n\
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        run(Command::new("python3").args(["-c", script]).arg(&self.at))
    }

    fn unmount(&self) -> Result<(), String> {
        let mut tried = Ok(());
        for _ in 0..50 {
            tried = run(Command::new("umount").arg(&self.at));
            if tried.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        tried
    }

    fn folder(&self) -> PathBuf {
        self.at.join("data")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(&self.at));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let ran = command.output();
    match ran {
        Ok(ran) if ran.status.success() => Ok(()),
        Ok(ran) => Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&ran.stderr).trim()
        )),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

#[test]
fn a_worker_writes_until_it_is_killed() {
    write_until_killed();
}

#[test]
fn a_worker_writes_to_plain_sled_until_it_is_killed() {
    write_plain_sled_until_killed();
}

/// Lets a worker write, cuts the power at a random moment, mounts again. Returns what the worker
/// had acknowledged.
fn one_cut(disk: &Mounted, test: &str, dice: &mut Dice) -> Option<u32> {
    let worker = Worker::start(test, &disk.folder());
    std::thread::sleep(Duration::from_micros(20_000 + dice.below(380_000)));
    disk.cut().unwrap();
    let told = worker.kill();
    disk.unmount().unwrap();
    disk.mount().unwrap();
    told.acknowledged
}

fn survive(kind: &'static str) {
    let mut dice = Dice::thrown(&format!("power cuts on {kind}"));
    let (mut total, mut acknowledged) = (0, 0);
    let mut disk = None;
    let folder = tempfile::tempdir().unwrap();
    let rounds = ROUNDS * times_more();
    for round in 0..rounds {
        if round % ROUNDS_A_FILE_SYSTEM == 0 {
            drop(disk.take());
            total += acknowledged;
            acknowledged = 0;
        }
        let disk = match &disk {
            Some(disk) => disk,
            None => match Mounted::make(kind, folder.path()) {
                Ok(made) => disk.insert(made),
                Err(why) => {
                    tell(format_args!(
                        "SKIPPED, loudly: no power cuts on {kind}: {why}"
                    ));
                    return;
                }
            },
        };
        let told = one_cut(disk, "a_worker_writes_until_it_is_killed", &mut dice);
        acknowledged = told.unwrap_or(acknowledged);
        acknowledged = still_whole(&disk.folder(), acknowledged, round);
    }
    total += acknowledged;
    tell(format_args!(
        "{rounds} power cuts on {kind}, {total} acknowledged writes, 0 lost"
    ));
}

#[test]
fn an_acknowledged_write_survives_a_power_cut_on_ext4() {
    survive("ext4");
}

#[test]
fn an_acknowledged_write_survives_a_power_cut_on_xfs() {
    survive("xfs");
}

/// The negative control: the same cuts lose what sled alone calls flushed, so they do bite.
#[test]
fn plain_sled_without_a_sync_loses_what_it_flushed() {
    let mut dice = Dice::thrown("power cuts on plain sled");
    let folder = tempfile::tempdir().unwrap();
    let mut bad = 0;
    for _ in 0..CONTROL_ROUNDS {
        let disk = match Mounted::make("ext4", folder.path()) {
            Ok(made) => made,
            Err(why) => {
                tell(format_args!("SKIPPED, loudly: no negative control: {why}"));
                return;
            }
        };
        let test = "a_worker_writes_to_plain_sled_until_it_is_killed";
        let acknowledged = one_cut(&disk, test, &mut dice).unwrap_or(0);
        let at = disk.folder();
        let there = std::panic::catch_unwind(|| match sled::open(at) {
            Ok(db) => db.iter().take_while(Result::is_ok).count() as u32,
            Err(_) => 0,
        });
        bad += u64::from(there.unwrap_or(0) < acknowledged);
    }
    tell(format_args!(
        "plain sled, as it should: {bad} of {CONTROL_ROUNDS} power cuts lost flushed writes"
    ));
    assert!(bad > 0, "the cuts do not bite: they prove nothing");
}
