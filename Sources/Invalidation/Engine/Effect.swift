/// What the Engine asks of the shell, which performs the effects in the order given.
package enum Effect: Sendable {
  /// Open the query and the replication connection, make the slot if there is none, and gather `SourceFacts`. Of an outbox:
  /// the connection that holds its lock, in place of the replication connection.
  case connectSource
  /// START_REPLICATION at this position, at least the slot's confirmed one; of an outbox, LISTEN.
  case startReplication(LSN)
  /// Close both PostgreSQL connections. No event answers; a `connectSource` may follow at once.
  case closeSource
  /// Send a standby status update; never with an outbox.
  case sendFeedback(Feedback)
  /// `SELECT pg_current_snapshot()` on the query connection. At most one query is outstanding.
  case querySnapshot
  /// `SELECT pg_current_xact_id()` on the query connection, in autocommit.
  case queryCurrentTransaction
  /// `SELECT pg_current_wal_insert_lsn()` on the query connection.
  case queryWALEnd
  /// Ask on the query connection which transaction is the oldest.
  case queryBlocker
  /// Ask on the query connection what the server keeps for cdcd: the slot's WAL, or the rows of the outbox.
  case queryRetention
  /// Ask on the query connection what the catalogue says of this table.
  case queryLineage(of: TableReference)
  /// Other rules are in force: what is asked of the server from here on is asked for their tables.
  case rulesReplaced
  /// Open the query connection again; replication is untouched.
  case reconnectQuery

  /// Read the outbox; `Event.outboxRead` answers. Of this and the next three at most one is under way.
  case readOutbox(OutboxRead)
  /// Remove rows from the outbox, and note the position beside it; `Event.outboxRemoved` answers.
  case removeFromOutbox(OutboxRemoval)
  /// Write something durable to the WAL, so that its end moves; `Event.walMoved` answers.
  case moveWAL
  /// Show the server that cdcd lives; `Event.outboxTouched` answers.
  case touchOutbox

  /// Ask this read replica where it stands, over the connection to it; open one if there is none. At most one question
  /// is outstanding for each replica, and each is answered, by `replicaAnswered` or `replicaFailed`.
  case askReplica(replica: Int)

  /// Open the connection to this Redis target.
  case connectRedis(target: Int)
  /// Append these bytes, complete RESP commands, to the connection's output.
  case sendRedis(target: Int, bytes: [UInt8])
  /// Close the connection. No event answers; a `connectRedis` may follow at once.
  case closeRedis(target: Int)

  /// Something to tell people.
  case report(Notice)
  /// A gap was found and the policy is `halt`: exit with status 76.
  case halt(GapReason)
  /// Answers `Event.stop`: everything in flight is settled, or never will be. Exit with status 0.
  case finished
}

/// A standby status update.
///
/// Source: PostgreSQL manual, chapter 55.4 "Streaming Replication Protocol".
package struct Feedback: Sendable, Equatable {
  /// The last byte + 1 received ("write").
  package var received: LSN
  /// The confirmed position ("flush" and "apply"): settled on every target and `retain` old.
  package var confirmed: LSN
  /// Ask the server to answer at once with a keepalive.
  package var replyRequested: Bool

  package init(received: LSN, confirmed: LSN, replyRequested: Bool) {
    self.received = received
    self.confirmed = confirmed
    self.replyRequested = replyRequested
  }
}
