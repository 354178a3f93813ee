//! A library that a process is started with (`LD_PRELOAD`): one file operation in one folder fails.
//!
//! `CARTEIRA_FAULT_FOLDER` is the folder, `CARTEIRA_FAULT_AT` the operation, counted from 1 over all
//! threads, `CARTEIRA_FAULT_ERRNO` what it fails with, and `CARTEIRA_FAULT_FOR` how many fail from
//! there on. Each that fails is told on stderr. It stands outside the crate, which has no unsafe
//! code, and is compiled by the test that uses it.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    fn __errno_location() -> *mut c_int;
}

/// `RTLD_NEXT`: the function that this one stands before.
const NEXT: *mut c_void = -1_isize as *mut c_void;

struct Plan {
    folder: Vec<u8>,
    at: u64,
    until: u64,
    errno: c_int,
}

static DONE: AtomicU64 = AtomicU64::new(0);

fn plan() -> Option<&'static Plan> {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    let read = || {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let at = number("CARTEIRA_FAULT_AT")?;
        Some(Plan {
            folder: std::env::var_os("CARTEIRA_FAULT_FOLDER")?.as_bytes().to_vec(),
            at,
            until: at.saturating_add(number("CARTEIRA_FAULT_FOR")?),
            errno: number("CARTEIRA_FAULT_ERRNO")? as c_int,
        })
    };
    PLAN.get_or_init(read).as_ref()
}

/// Counts an operation on a path; whether it is to fail.
fn fails(doing: &str, path: &[u8]) -> bool {
    let Some(plan) = plan() else { return false };
    if !path.starts_with(&plan.folder) {
        return false;
    }
    let number = DONE.fetch_add(1, Ordering::SeqCst) + 1;
    let failing = (plan.at..plan.until).contains(&number);
    if failing {
        eprintln!("fault {number}: {doing} {}", String::from_utf8_lossy(path));
        // SAFETY: the address is this thread's own errno.
        unsafe { *__errno_location() = plan.errno };
    }
    failing
}

fn path_of(file: c_int) -> Vec<u8> {
    std::fs::read_link(format!("/proc/self/fd/{file}"))
        .map(|path| path.as_os_str().as_bytes().to_vec())
        .unwrap_or_default()
}

macro_rules! on_file {
    ($name:ident, $symbol:literal, ($($arg:ident: $type:ty),*) -> $answer:ty) => {
        /// # Safety
        /// As the system's own.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(file: c_int $(, $arg: $type)*) -> $answer {
            static OWN: OnceLock<usize> = OnceLock::new();
            let own = *OWN.get_or_init(|| unsafe { dlsym(NEXT, $symbol.as_ptr()) } as usize);
            // stderr is how faults are told of.
            if file > 2 && plan().is_some() && fails(stringify!($name), &path_of(file)) {
                return -1;
            }
            // SAFETY: the symbol has this signature on every 64-bit Linux.
            let own: unsafe extern "C" fn(c_int $(, $type)*) -> $answer = unsafe { std::mem::transmute(own) };
            unsafe { own(file $(, $arg)*) }
        }
    };
}

macro_rules! on_path {
    ($name:ident, $symbol:literal, ($($arg:ident: $type:ty),*)) => {
        /// # Safety
        /// As the system's own.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char $(, $arg: $type)*) -> c_int {
            static OWN: OnceLock<usize> = OnceLock::new();
            let own = *OWN.get_or_init(|| unsafe { dlsym(NEXT, $symbol.as_ptr()) } as usize);
            // SAFETY: the caller gives a path that ends with a zero, as the system's own demands.
            let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
            if fails(stringify!($name), bytes) {
                return -1;
            }
            // SAFETY: as above.
            let own: unsafe extern "C" fn(*const c_char $(, $type)*) -> c_int = unsafe { std::mem::transmute(own) };
            unsafe { own(path $(, $arg)*) }
        }
    };
}

on_file!(write, c"write", (from: *const c_void, length: usize) -> isize);
on_file!(pwrite64, c"pwrite64", (from: *const c_void, length: usize, at: i64) -> isize);
on_file!(fsync, c"fsync", () -> c_int);
on_file!(fdatasync, c"fdatasync", () -> c_int);
on_file!(ftruncate64, c"ftruncate64", (length: i64) -> c_int);
on_file!(sync_file_range, c"sync_file_range", (from: i64, length: i64, flags: c_uint) -> c_int);
on_path!(open64, c"open64", (flags: c_int, mode: c_uint));
on_path!(rename, c"rename", (to: *const c_char));
on_path!(unlink, c"unlink", ());
on_path!(mkdir, c"mkdir", (mode: c_uint));
