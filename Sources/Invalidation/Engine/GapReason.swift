/// Why continuity could not be proved (contract 4). The raw value is the metric's label.
package enum GapReason: String, Sendable, Hashable, CaseIterable {
  /// The slot was made just now: nothing before it can be streamed.
  case newSlot = "new_slot"
  /// The watermark in Redis is older than the slot's confirmed position: the slot was made anew, or Redis
  /// lost more than `retain` covers.
  case watermarkBehindSlot = "watermark_behind_slot"
  /// There is no watermark in Redis: a first start, or Redis lost its data.
  case watermarkMissing = "watermark_missing"
  /// The watermark names a position that this server has not written yet.
  case watermarkAhead = "watermark_ahead"
  /// The watermark cannot be read.
  case watermarkMalformed = "watermark_malformed"
  case timelineChanged = "timeline_changed"
  case systemChanged = "system_changed"
  /// The server recovered from a crash, and some session may have committed asynchronously.
  case crashRecovery = "crash_recovery"
  /// A rule was added or changed since the watermark was written.
  case rulesChanged = "rules_changed"
  /// TRUNCATE on a ruled table.
  case truncate
  /// DDL changed rows of a ruled table without row events.
  case tableChanged = "table_changed"
  /// A message of the server could not be decoded, or an application named what is no key.
  case malformedMessage = "malformed_message"
  /// A row image did not carry a column that a key needs, or a key would be longer than 1 MiB.
  case incompleteRow = "incomplete_row"
  /// The table was published anew, so that for a while its changes may have been left out.
  case publicationChanged = "publication_changed"
  /// A read replica is new, or was started anew: for a moment its readers may have seen an older state than before.
  case replicaRestarted = "replica_restarted"
  /// Second deletes outgrew their memory, or waited longer than `retain` for a replica: a flush does their work.
  case secondDeletesCollapsed = "second_deletes_collapsed"
  /// A flush had not finished when cdcd last stopped.
  case flushInterrupted = "flush_interrupted"

  /// Whether only readers of replicas, and those who fill by a plain SET, may have put back what was deleted once: a
  /// flush has to walk the keys once, as its second round does.
  var concernsSecondDeletesOnly: Bool { self == .replicaRestarted || self == .secondDeletesCollapsed }

  /// One sentence for people.
  package var explanation: String {
    switch self {
    case .newSlot: "the replication slot is new: changes before it cannot be streamed"
    case .watermarkBehindSlot:
      "the watermark in Redis is older than the slot's confirmed position"
    case .watermarkMissing: "Redis holds no watermark: a first start, or Redis lost its data"
    case .watermarkAhead: "the watermark in Redis is beyond the end of this server's WAL"
    case .watermarkMalformed: "the watermark in Redis cannot be read"
    case .timelineChanged: "the server is on another timeline than the watermark"
    case .systemChanged: "the server is another database cluster than the watermark's"
    case .crashRecovery:
      "the server recovered from a crash, which may have lost commits with synchronous_commit=off that readers saw"
    case .rulesChanged: "rules were added or changed since the watermark was written"
    case .truncate: "a ruled table was truncated"
    case .tableChanged:
      "a ruled table was altered or dropped, or a partition of it attached, detached or dropped"
    case .malformedMessage:
      "a message of the stream, or a row of the outbox, could not be decoded, or named what is no key"
    case .incompleteRow:
      "no key could be made of a row: its image lacked a column (`cdcd check` names partitions without REPLICA IDENTITY FULL, which they do not inherit), or the key would be longer than 1 MiB"
    case .publicationChanged:
      "a ruled table was taken out of the publication and put back, or made or named anew: its changes may have been left out"
    case .replicaRestarted: "a read replica is new or was started anew, and may have served older rows again"
    case .secondDeletesCollapsed:
      "second deletes waited too long for a read replica, or were too many"
    case .flushInterrupted: "a flush had not finished when cdcd last stopped"
    }
  }
}
