//! Memory is bounded by the input: what is held at any moment is counted, and too much of it ends
//! the program as a panic would.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::abort,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Bytes that an execution may hold, whatever its input.
const ALWAYS: usize = 1 << 20;
/// And for each byte of it.
const A_BYTE: usize = 256;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, counted.
pub struct Counted;

fn hold(more: usize) {
    let held = HELD.fetch_add(more, Relaxed) + more;
    let most = MOST.load(Relaxed);
    // What a panic takes to say where it was is no matter.
    if held > most && !std::thread::panicking() {
        // To say it takes memory as well.
        MOST.store(usize::MAX, Relaxed);
        eprintln!("memory is not bounded: {held} bytes are held, {most} may be");
        eprintln!("{}", std::backtrace::Backtrace::force_capture());
        abort();
    }
}

// SAFETY: everything is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        hold(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Runs this with an input of so many bytes.
pub fn bounded(bytes: usize, run: impl FnOnce()) {
    MOST.store(HELD.load(Relaxed) + ALWAYS + bytes * A_BYTE, Relaxed);
    run();
    MOST.store(usize::MAX, Relaxed);
}
