//! The rows of one transaction: every one that is read is held against the ledger, every one that is written goes into it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::failure::{failed, tampered};
use super::ledger::{Bucket, Entry, Ledger, digest};
use crate::error::Result;
use crate::vault::key::{self, Keys};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Secret = 0,
    Tombstone = 1,
}

impl Table {
    const fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Tombstone => "tombstone",
        }
    }

    const fn of(kind: i64) -> Option<Self> {
        match kind {
            0 => Some(Self::Secret),
            1 => Some(Self::Tombstone),
            _ => None,
        }
    }
}

/// A row, unsealed.
pub(super) struct Opened {
    pub(super) table: Table,
    pub(super) name: Zeroizing<String>,
    pub(super) generation: i64,
    pub(super) revision: i64,
    pub(super) body: Zeroizing<Vec<u8>>,
}

struct Sealed {
    entry: Entry,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// A transaction that is under way.
pub(super) struct Session<'a> {
    connection: &'a Connection,
    keys: &'a Keys,
    ledger: Cow<'a, Ledger>,
    /// Buckets that were held against the ledger.
    verified: HashSet<Bucket>,
    /// Buckets whose rows are others now.
    touched: BTreeSet<Bucket>,
}

impl<'a> Session<'a> {
    pub(super) fn new(connection: &'a Connection, keys: &'a Keys, ledger: Cow<'a, Ledger>) -> Self {
        Self { connection, keys, ledger, verified: HashSet::new(), touched: BTreeSet::new() }
    }

    pub(super) const fn connection(&self) -> &'a Connection {
        self.connection
    }

    pub(super) const fn keys(&self) -> &'a Keys {
        self.keys
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The next number of the vault's counter.
    pub(super) fn next(&mut self) -> i64 {
        let ledger = self.ledger.to_mut();
        ledger.counter += 1;
        ledger.counter
    }

    /// What the ledger knows under a name.
    pub(super) fn entry(&mut self, table: Table, name: &str) -> Result<Option<Entry>> {
        let lookup = self.keys.index(table.word(), name);
        let rows = self.rows(Bucket::of(&lookup))?;
        Ok(rows.into_iter().find(|row| row.lookup == lookup))
    }

    /// The row of a name.
    pub(super) fn find(&mut self, table: Table, name: &str) -> Result<Option<Opened>> {
        let Some(entry) = self.entry(table, name)? else { return Ok(None) };
        let sql = "SELECT lookup, kind, generation, revision, name, value FROM record WHERE lookup = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let sealed = statement.query_row(params![entry.lookup.as_slice()], sealed).map_err(failed)?;
        let opened = self.unseal(&sealed, entry)?;
        if opened.name.as_str() == name { Ok(Some(opened)) } else { Err(tampered("a record has another's name")) }
    }

    /// Every row there is, the whole ledger checked.
    pub(super) fn all(&mut self) -> Result<Vec<Opened>> {
        let sql = "SELECT lookup, kind, generation, revision, name, value FROM record ORDER BY lookup";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let sealed = statement.query_map([], sealed).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).map_err(failed)?;
        let mut buckets: BTreeMap<Bucket, Vec<Entry>> = BTreeMap::new();
        for row in &sealed {
            buckets.entry(Bucket::of(&row.entry.lookup)).or_default().push(row.entry);
        }
        let agree = buckets.iter().all(|(bucket, rows)| self.ledger.agrees(self.keys, *bucket, rows));
        if !agree || buckets.len() != self.ledger.filled() {
            return Err(tampered("a record was taken away, put back or added"));
        }
        sealed.iter().map(|row| self.unseal(row, row.entry)).collect()
    }

    /// Every tombstone, without reading the rest.
    pub(super) fn tombstones(&mut self) -> Result<Vec<Opened>> {
        let sql = "SELECT lookup, kind, generation, revision, name, value FROM record WHERE kind <> 0";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let sealed = statement.query_map([], sealed).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>).map_err(failed)?;
        if sealed.len() as i64 != self.ledger.counts[Table::Tombstone as usize] {
            return Err(tampered("a tombstone was taken away or added"));
        }
        let open = |row: Sealed| {
            let there = self.rows(Bucket::of(&row.entry.lookup))?;
            let entry = there.into_iter().find(|entry| entry.lookup == row.entry.lookup);
            self.unseal(&row, entry.ok_or_else(|| tampered("a tombstone was added"))?)
        };
        sealed.into_iter().map(open).collect()
    }

    /// Writes a row, in the place of the one that has its name.
    pub(super) fn put(&mut self, row: &Opened) -> Result<()> {
        let Opened { table, name, generation, revision, body } = row;
        self.remove(*table, name)?;
        let lookup = self.keys.index(table.word(), name);
        let entry = Entry { lookup, kind: *table as i64, generation: *generation, revision: *revision };
        let name = self.keys.seal(&[&place(*table, "name", &entry)], name.as_bytes())?;
        let value = self.keys.seal(&[&place(*table, "value", &entry)], body)?;
        let sql = "INSERT INTO record (lookup, kind, generation, revision, name, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        statement.execute(params![lookup.as_slice(), entry.kind, generation, revision, name, value]).map_err(failed)?;
        self.touched.insert(Bucket::of(&lookup));
        self.ledger.to_mut().counts[*table as usize] += 1;
        Ok(())
    }

    /// Takes a row away, if it is there.
    pub(super) fn remove(&mut self, table: Table, name: &str) -> Result<bool> {
        let Some(entry) = self.entry(table, name)? else { return Ok(false) };
        let mut statement = self.connection.prepare_cached("DELETE FROM record WHERE lookup = ?1").map_err(failed)?;
        if statement.execute(params![entry.lookup.as_slice()]).map_err(failed)? != 1 {
            return Err(tampered("a record is there twice"));
        }
        self.touched.insert(Bucket::of(&entry.lookup));
        self.ledger.to_mut().counts[table as usize] -= 1;
        Ok(true)
    }

    /// Writes the ledger down, if anything has changed; gives the new one.
    pub(super) fn finish(self) -> Result<Option<Ledger>> {
        if self.touched.is_empty() { Ok(None) } else { self.finish_all().map(Some) }
    }

    /// Writes the ledger down in any case.
    pub(super) fn finish_all(mut self) -> Result<Ledger> {
        for bucket in std::mem::take(&mut self.touched) {
            let rows = self.read(bucket)?;
            let digest = digest(self.keys, &rows);
            self.ledger.to_mut().set(bucket, digest);
        }
        let sequence = self.connection.query_row("SELECT sequence FROM audit", [], |row| row.get(0)).optional();
        let mut ledger = self.ledger.into_owned();
        ledger.audit_floor = ledger.audit_floor.max(sequence.map_err(failed)?.unwrap_or(0));
        let sealed = ledger.seal(self.keys)?;
        let sql = "INSERT OR REPLACE INTO ledger (one, counter, sealed) VALUES (1, ?1, ?2)";
        self.connection.execute(sql, params![ledger.counter, sealed]).map_err(failed)?;
        Ok(ledger)
    }

    /// A bucket's rows, held against the ledger when they are read for the first time.
    fn rows(&mut self, bucket: Bucket) -> Result<Vec<Entry>> {
        let rows = self.read(bucket)?;
        if !self.touched.contains(&bucket) && self.verified.insert(bucket) && !self.ledger.agrees(self.keys, bucket, &rows) {
            return Err(tampered("a record was taken away, put back or added"));
        }
        Ok(rows)
    }

    fn read(&self, bucket: Bucket) -> Result<Vec<Entry>> {
        let sql = "SELECT lookup, kind, generation, revision FROM record WHERE lookup >= ?1 AND lookup < ?2 ORDER BY lookup";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let (from, to) = bucket.range();
        let rows = statement.query_map(params![from, to], entry).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// `expected` is what the ledger says of the row: index and table of a file may differ.
    fn unseal(&self, row: &Sealed, expected: Entry) -> Result<Opened> {
        let wrong = || tampered("a record is not what was written");
        let entry = row.entry;
        let table = Table::of(entry.kind).filter(|_| entry == expected).ok_or_else(wrong)?;
        let name = self.keys.unseal(&[&place(table, "name", &entry)], &row.name).ok_or_else(wrong)?;
        let name = std::str::from_utf8(&name).map(|name| Zeroizing::new(name.to_owned())).map_err(|_| wrong())?;
        let body = self.keys.unseal(&[&place(table, "value", &entry)], &row.value).ok_or_else(wrong)?;
        Ok(Opened { table, name, generation: entry.generation, revision: entry.revision, body })
    }
}

/// Where a sealed value belongs, so that it is nothing anywhere else; the vault and the key's version come with the keys.
fn place(table: Table, column: &str, entry: &Entry) -> Vec<u8> {
    let numbers = [entry.generation.to_be_bytes(), entry.revision.to_be_bytes()].concat();
    key::place(&[table.word().as_bytes(), column.as_bytes(), &entry.lookup, &numbers])
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { lookup: row.get(0)?, kind: row.get(1)?, generation: row.get(2)?, revision: row.get(3)? })
}

fn sealed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed { entry: entry(row)?, name: row.get(4)?, value: row.get(5)? })
}
