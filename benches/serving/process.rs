//! What the system says of a process.

use std::path::Path;
use std::time::Duration;

/// Processor time that a process has taken so far, in steps of 10 ms.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may hold anything, user and system time are the 12th and 13th word,
    // in hundredths of a second.
    let behind = stat.rsplit(')').next().unwrap();
    let words: Vec<&str> = behind.split_whitespace().collect();
    let ticks = words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Memory of a process that is in use, in bytes.
pub fn memory_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Holds a process, so that what it has to do in the background does not run beside another's measurement.
pub fn hold(pid: u32) {
    signal(pid, "-STOP");
}

/// Lets a held process go on.
pub fn go_on(pid: u32) {
    signal(pid, "-CONT");
}

fn signal(pid: u32, signal: &str) {
    let mut kill = std::process::Command::new("kill");
    let told = kill.args([signal, &pid.to_string()]).status().unwrap();
    assert!(told.success());
}

/// Bytes of the files in a folder and below it.
pub fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => disk_bytes(&entry.path()),
        Ok(about) => about.len(),
        // It went meanwhile.
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}
