// SPDX-License-Identifier: Apache-2.0
//! Rust's names and inlined calls. Comments name the lines that calls stand on.

use std::hint::black_box;

trait Keeper {
    fn keep(&self, bytes: usize);
}

struct Drawer;

#[inline(always)]
fn reserve(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(bytes) // line: reserve
}

#[inline(never)]
fn store<T>(bytes: T)
where
    usize: From<T>,
{
    let held = black_box(reserve(usize::from(bytes))); // line: store
    std::mem::forget(held);
}

impl Keeper for Drawer {
    #[inline(never)]
    fn keep(&self, bytes: usize) {
        store::<usize>(bytes); // line: keep
        black_box(self);
    }
}

#[inline(never)]
fn each(keepers: &[&dyn Keeper], bytes: usize) {
    for keeper in keepers {
        keeper.keep(bytes); // line: each
        black_box(keeper);
    }
}

fn main() {
    let thread = std::thread::spawn(|| {
        each(black_box(&[&Drawer]), 7801); // line: thread
        black_box(0);
    });
    thread.join().expect("the thread ends well");
    each(black_box(&[&Drawer]), 7802); // line: main
    std::process::exit(0);
}
