//! `read`, `read_many` and `write`: the ways between Python's buffers and packets.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use ohmqtt_codec::{DecodeError, EncodeBuf, Limits, Packet, PacketRef, decode};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};

use crate::codes::{incomplete, malformed};
use crate::convert::{Int, positive32, with_bytes};
use crate::packet::into_object;

thread_local! {
    /// What is read and written goes through memory that is there already.
    static DESK: RefCell<Desk> = RefCell::default();
}

#[derive(Default)]
struct Desk {
    read: BytesMut,
    written: EncodeBuf,
}

/// The bytes of a packet, in its shortest form.
pub(crate) fn write<'py>(py: Python<'py>, packet: PacketRef<'_>) -> PyResult<Bound<'py, PyBytes>> {
    DESK.with_borrow_mut(|desk| {
        let out = &mut desk.written;
        packet
            .encode(out)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let bytes = gathered(py, out);
        out.clear();
        bytes
    })
}

/// What was encoded, in one piece.
pub(crate) fn gathered<'py>(py: Python<'py>, out: &EncodeBuf) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, out.len(), |mut target| {
        for slice in out.slices() {
            let Some((here, rest)) = target.split_at_mut_checked(slice.len()) else {
                break;
            };
            here.copy_from_slice(slice);
            target = rest;
        }
        Ok(())
    })
}

/// How long the packet at the front of `head` says it is, fixed header included. A header that is not there or wrong
/// counts for itself only: the codec has the word on it.
fn claimed(head: &[u8]) -> usize {
    let mut remaining = 0;
    for (at, &byte) in head.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return 2 + at + remaining;
        }
    }
    (head.len() + 1).clamp(2, 5)
}

/// What stands at one place of a buffer.
pub(crate) enum Found {
    /// A packet of so many bytes.
    Packet(Packet, usize),
    /// A part of one: at least so many bytes are missing.
    Part(usize),
}

/// Reads at the front of `bytes`, which are those of a buffer that has `here`, or as many of them as the packet takes.
/// A packet that is small keeps no more memory alive than [`read_many`] has it keep; a larger one has its own.
pub(crate) fn read_front(bytes: &[u8], here: usize, limits: Limits) -> Result<Found, DecodeError> {
    let size = claimed(bytes);
    // The header of a part may be wrong already.
    let frame = bytes.get(..size).or(bytes.get(..5)).unwrap_or(bytes);
    if frame.len() > LITTLE {
        return found(&mut BytesMut::from(frame), size, here, limits);
    }
    DESK.with_borrow_mut(|desk| {
        let copy = &mut desk.read;
        copy.clear();
        if copy.capacity() < frame.len() {
            copy.reserve(SMALL);
        }
        copy.extend_from_slice(frame);
        found(copy, size, here, limits)
    })
}

/// As [`read_front`], of what has been copied already. What is one packet stays where it is.
fn read_copy(copy: Vec<u8>, here: usize, limits: Limits) -> Result<Found, DecodeError> {
    if claimed(&copy) != copy.len() {
        return read_front(&copy, here, limits);
    }
    let size = copy.len();
    found(&mut BytesMut::from(Bytes::from(copy)), size, here, limits)
}

fn found(
    frame: &mut BytesMut,
    size: usize,
    here: usize,
    limits: Limits,
) -> Result<Found, DecodeError> {
    Ok(match decode(frame, &limits)? {
        Some(packet) => Found::Packet(packet, size),
        None => Found::Part(size.saturating_sub(here).max(1)),
    })
}

/// As many whole packets at the front as are small together: one of them keeps the memory of no more than these alive. Else the first,
/// or as much of it as is needed to see what is wrong or missing.
fn some_whole(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    while let Some(rest) = bytes.get(end..).filter(|rest| !rest.is_empty()) {
        let next = end + claimed(rest);
        if next > bytes.len() || (end > 0 && next > SMALL) {
            break;
        }
        end = next;
    }
    // The header of a part may be wrong already.
    let part = bytes.get(..5).unwrap_or(bytes);
    if end == 0 {
        part
    } else {
        bytes.get(..end).unwrap_or(bytes)
    }
}

/// Up to so many bytes are copied without a look at what is needed, and small packets share as many.
const SMALL: usize = 4096;

/// So long is a packet at most that is copied to where others are.
const LITTLE: usize = 512;

/// Reads at the front of a `bytearray` or `memoryview`.
fn read_view(
    buffer: &Bound<'_, PyAny>,
    view: &PyBuffer<u8>,
    limits: Limits,
) -> PyResult<Result<Found, DecodeError>> {
    let (py, here) = (buffer.py(), view.item_count());
    if here <= LITTLE {
        let mut copy = [0; LITTLE];
        let copy = copy.get_mut(..here).unwrap_or_default();
        view.copy_to_slice(py, copy)?;
        return Ok(read_front(copy, here, limits));
    }
    Ok(read_copy(copy_front(buffer, view)?, here, limits))
}

/// The front of a `bytearray` or `memoryview`, a packet of it at least if that is there.
fn copy_front(buffer: &Bound<'_, PyAny>, view: &PyBuffer<u8>) -> PyResult<Vec<u8>> {
    let (py, here) = (buffer.py(), view.item_count());
    if here <= SMALL {
        return view.to_vec(py);
    }
    let memory = PyMemoryView::from(buffer)?;
    let first = |count: usize| -> PyResult<Vec<u8>> {
        let slice = PySlice::new(py, 0, isize::try_from(count)?, 1);
        PyBuffer::get(&memory.get_item(slice)?)?.to_vec(py)
    };
    let head = first(5)?;
    match claimed(&head) {
        size if size <= here => first(size),
        _ => Ok(head),
    }
}

fn limits(max_packet_size: Option<Int>) -> PyResult<Limits> {
    let Some(max) = max_packet_size else {
        return Ok(Limits::default());
    };
    Ok(Limits::new(positive32("max_packet_size", max)?.get()))
}

fn object_of(
    py: Python<'_>,
    read: Result<Found, DecodeError>,
) -> PyResult<(Bound<'_, PyAny>, usize)> {
    match read {
        Ok(Found::Packet(packet, size)) => Ok((into_object(py, packet)?, size)),
        Ok(Found::Part(needed)) => Err(incomplete(py, needed)),
        Err(error) => Err(malformed(&error, 0, &PyList::empty(py))),
    }
}

fn read_all<'py>(
    py: Python<'py>,
    bytes: &[u8],
    limits: Limits,
) -> PyResult<(Bound<'py, PyList>, usize)> {
    let packets = PyList::empty(py);
    let mut read = 0;
    while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
        let mut copy = BytesMut::from(some_whole(rest));
        let copied = copy.len();
        while !copy.is_empty() {
            let at = read + copied - copy.len();
            match decode(&mut copy, &limits) {
                Ok(Some(packet)) => packets.append(into_object(py, packet)?)?,
                Ok(None) => return Ok((packets, at)),
                Err(error) => return Err(malformed(&error, at, &packets)),
            }
        }
        read += copied;
    }
    Ok((packets, read))
}

/// Reads the packet at the front of the buffer: the packet, and how many bytes it had. What follows is left alone.
///
/// IncompleteError (an IndexError) when the buffer ends before the packet does, MalformedError (a ValueError) when it is
/// no packet, or one of more than max_packet_size bytes.
#[pyfunction]
#[pyo3(signature = (buffer, /, *, max_packet_size = None))]
pub(crate) fn read<'py>(
    buffer: &Bound<'py, PyAny>,
    max_packet_size: Option<Int>,
) -> PyResult<(Bound<'py, PyAny>, usize)> {
    let limits = limits(max_packet_size)?;
    let py = buffer.py();
    with_bytes(
        buffer,
        |bytes| object_of(py, read_front(bytes, bytes.len(), limits)),
        |view, _| {
            let read = read_view(buffer, &view, limits)?;
            Ok(object_of(py, read))
        },
    )?
}

/// Reads all whole packets at the front of the buffer: a list of them, and how many bytes they had together.
///
/// A part of a packet at the end is left alone. MalformedError (a ValueError) when what follows the whole ones is no
/// packet: its `position` is where that starts, its `packets` are those before.
#[pyfunction]
#[pyo3(signature = (buffer, /, *, max_packet_size = None))]
pub(crate) fn read_many<'py>(
    buffer: &Bound<'py, PyAny>,
    max_packet_size: Option<Int>,
) -> PyResult<(Bound<'py, PyList>, usize)> {
    let limits = limits(max_packet_size)?;
    let py = buffer.py();
    with_bytes(
        buffer,
        |bytes| read_all(py, bytes, limits),
        |view, _| Ok(read_all(py, &view.to_vec(py)?, limits)),
    )?
}
