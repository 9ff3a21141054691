/// What PostgreSQL keeps on its disk for cdcd, as the server itself tells.
package enum ServerRetention: Sendable, Equatable {
  case slot(RetainedWAL)
  /// So many rows are in the outbox, by the server's statistics.
  case outbox(rows: UInt64)

  /// Nil with an outbox.
  package var wal: RetainedWAL? { if case .slot(let wal) = self { wal } else { nil } }

  /// Nil with a slot.
  package var outboxRows: UInt64? { if case .outbox(let rows) = self { rows } else { nil } }
}

/// The WAL that a replication slot keeps from being removed.
///
/// Source: PostgreSQL manual, chapter 54.19 "pg_replication_slots".
package struct RetainedWAL: Sendable, Equatable {
  /// `wal_status`.
  package enum Status: String, Sendable, CaseIterable {
    /// Within `max_wal_size`.
    case reserved
    /// Beyond it, and still kept.
    case extended
    /// Beyond `max_slot_wal_keep_size` too: the next checkpoint may remove it.
    case unreserved
    /// Removed, and the slot is of no use any more.
    case lost
  }

  /// From the oldest WAL that the slot needs to the end of what was written.
  package var bytes: UInt64
  /// `safe_wal_size`: how much more may be written before the slot is in danger; nil without
  /// `max_slot_wal_keep_size`.
  package var safeBytes: UInt64?
  /// Nil where the server has a word for it that is not known here.
  package var status: Status?

  package init(bytes: UInt64, safeBytes: UInt64?, status: Status?) {
    self.bytes = bytes
    self.safeBytes = safeBytes
    self.status = status
  }
}
