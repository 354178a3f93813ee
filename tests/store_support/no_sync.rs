//! A library that a process is started with (`LD_PRELOAD`): syncs of files whose path ends with one of
//! `CARTEIRA_NO_SYNC` (with `:` between) do nothing. For measuring what a sync costs, and for nothing else.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// `RTLD_NEXT`: the function that this one stands before.
const NEXT: *mut c_void = -1_isize as *mut c_void;

fn is_left_out(file: c_int) -> bool {
    static ENDS: OnceLock<Vec<String>> = OnceLock::new();
    let ends = ENDS.get_or_init(|| {
        let given = std::env::var("CARTEIRA_NO_SYNC").unwrap_or_default();
        let ends = given.split(':').filter(|end| !end.is_empty());
        ends.map(str::to_owned).collect()
    });
    let path = std::fs::read_link(format!("/proc/self/fd/{file}")).unwrap_or_default();
    ends.iter().any(|end| path.to_string_lossy().ends_with(end))
}

macro_rules! sync {
    ($name:ident, $symbol:literal) => {
        /// # Safety
        /// As the system's own.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(file: c_int) -> c_int {
            static OWN: OnceLock<usize> = OnceLock::new();
            let own = *OWN.get_or_init(|| unsafe { dlsym(NEXT, $symbol.as_ptr()) } as usize);
            if is_left_out(file) {
                return 0;
            }
            // SAFETY: the symbol has this signature on every Linux.
            let own: unsafe extern "C" fn(c_int) -> c_int = unsafe { std::mem::transmute(own) };
            unsafe { own(file) }
        }
    };
}

sync!(fsync, c"fsync");
sync!(fdatasync, c"fdatasync");
