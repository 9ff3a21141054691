/// What the shell tells the Engine. Replication messages come through `Engine.receive` instead.
package enum Event: Sendable {
  /// Answers `Effect.connectSource`: both PostgreSQL connections are open.
  case sourceConnected(SourceFacts)
  /// `connectSource` or `startReplication` failed, or the replication stream ended. The shell has closed
  /// both PostgreSQL connections and will report nothing more about them.
  case sourceFailed(SourceFailure)
  /// Answers `Effect.startReplication`: the server has switched to CopyBoth; messages follow. The slot's
  /// `confirmed_flush_lsn` was read after the stream had begun, when nobody else could move it any more. Of an outbox: up to
  /// where its rows have been removed.
  case replicationStarted(confirmedFlush: LSN)
  /// Answers `Effect.querySnapshot`.
  case snapshot(TransactionSnapshot)
  /// Answers `Effect.queryCurrentTransaction`: the 64-bit xid that `pg_current_xact_id()` assigned.
  case currentTransaction(UInt64)
  /// Answers `Effect.queryWALEnd`.
  case walEnd(LSN)
  /// Answers `Effect.queryBlocker`; nil when no transaction runs.
  case blocker(BlockingTransaction?)
  /// Answers `Effect.queryRetention`; nil when the server does not tell.
  case retention(ServerRetention?)
  /// Answers `Effect.queryLineage`; nil when there is no such table in the snapshot that is given too.
  case lineage(TableLineage?, TransactionSnapshot)
  /// `connectSource` makes the slot, which waits for this transaction.
  case slotWaits(BlockingTransaction)
  /// Answers `Effect.reconnectQuery`: only the query connection was renewed.
  case queryReconnected(SourceFacts)
  /// The query connection failed or could not be opened; the shell has closed it. Replication goes on.
  case queryFailed(SourceFailure)

  /// Answers `Effect.readOutbox`.
  case outboxRead(OutboxPage)
  /// Answers `Effect.removeFromOutbox`.
  case outboxRemoved
  /// Answers `Effect.moveWAL`.
  case walMoved
  /// Answers `Effect.touchOutbox`.
  case outboxTouched
  /// A notification has come: there are new rows in the outbox.
  case outboxNotified

  /// Answers `Effect.askReplica`.
  case replicaAnswered(replica: Int, ReplicaFacts)
  /// `askReplica` was not answered: the replica cannot be reached, or refused. Or its connection ended between two
  /// questions. The shell has closed the connection.
  case replicaFailed(replica: Int, reason: String)

  /// Answers `Effect.connectRedis`: connected, authenticated, database selected. Nothing else was sent.
  case redisConnected(target: Int)
  /// One reply of the pipeline, in the order of the commands.
  case redisReply(target: Int, RedisReply)
  /// Connecting failed or the connection broke. The shell has closed it; replies still missing never come. `isRefusal`: Redis
  /// has answered, and says no to this user, password or database.
  case redisFailed(target: Int, reason: String, isRefusal: Bool = false)

  /// The shell has handed over all that had arrived on the replication stream.
  case inputDrained
  /// `Engine.deadline` has passed.
  case deadlineReached
  /// Somebody waits for the settled watermark to cover this position (`/wait`).
  case awaited(LSN)
  /// From the next end of a transaction on these are the rules; answered by `Effect.rulesReplaced`.
  case replaceRules(RuleSet)
  /// The daemon is to stop: finish what is in flight, confirm, then emit `Effect.finished`.
  case stop
}

/// How the stream names a table.
package enum TableReference: Sendable, Equatable {
  /// By its `oid`, as pgoutput does.
  case identified(UInt32)
  /// By the name that it had when it was changed, as wal2json does.
  case named(TableName)
}

/// What the catalogue says of a table that the stream names.
package struct TableLineage: Sendable, Equatable {
  /// Its present name, and those of the tables that it is a partition of, up to the root.
  package var names: Set<TableName>
  /// The stream carries its changes, under whichever name.
  package var isPublished: Bool
  /// The transaction that last wrote its row in `pg_class`, as the one does that detaches a partition.
  package var describedBy: UInt32?

  package init(names: Set<TableName>, isPublished: Bool, describedBy: UInt32? = nil) {
    self.names = names
    self.isPublished = isPublished
    self.describedBy = describedBy
  }
}

/// What the shell learned about the server while connecting.
package struct SourceFacts: Sendable, Equatable {
  /// `system_identifier` of IDENTIFY_SYSTEM.
  package var systemIdentifier: String
  package var timeline: UInt32
  /// Of the timelines before it, as far as the server tells.
  package var history: TimelineHistory
  /// A text that moves when the server went through crash recovery and at no clean restart:
  /// `pg_stat_wal.stats_reset` on 15 and later (contract 3).
  package var crashMarker: String
  /// `pg_current_wal_flush_lsn()`: the end of the durable WAL.
  package var flushLSN: LSN
  /// `pg_current_wal_insert_lsn()`: beyond everything that the catalogue shows.
  package var insertLSN: LSN
  /// Of an outbox, of which each database has its own: the database's `oid`. A slot's name is the only one of its cluster.
  package var database: String?
  /// The slot's `confirmed_flush_lsn`; of an outbox, up to where its rows have been removed.
  package var confirmedFlush: LSN
  /// The slot was kept in step with that of the same name on another primary, while this server was its standby
  /// (`failover` and `synced` in `pg_replication_slots`, 17 and later).
  package var isSlotSynchronized: Bool
  /// The shell has just created the slot, because there was none.
  package var slotCreated: Bool
  /// Whether some role, database or the server runs with `synchronous_commit = off`.
  package var asynchronousCommit: Bool
  /// For each ruled table a text that changes whenever changes of the table may have been left out: with the table
  /// itself, its name, the publication, and what makes the table a part of it.
  package var publication: [TableName: String]
  /// Ruled tables whose changes do not all come: they, or partitions of them, are not there, not published, or unlogged.
  package var unpublished: Set<TableName>
  /// Which transactions the catalogue showed.
  package var snapshot: TransactionSnapshot
  /// The ruled tables that are partitioned.
  package var partitioned: Set<TableName>
  /// The ruled tables that are partitions of one.
  package var partitions: Set<TableName>
  /// A text that changes with the partitions of the ruled tables; nil where the stream tells by itself.
  package var partitionTree: String?
  /// By rule: the name, as SQL takes it, of a ruled table, or of a partition of it, whose replica identity lacks a column that the rule reads.
  package var bareTables: [Int: String]
  /// By rule: columns, quoted, that it reads and that its table does not have; asked for where the stream describes no table.
  package var missingColumns: [Int: String]
  /// By rule with a `where`: a text that changes whenever the columns that it tests may print otherwise. Left out where
  /// such a column is not there.
  package var conditionTypes: [Int: String]

  package init(
    systemIdentifier: String, timeline: UInt32, crashMarker: String, flushLSN: LSN, insertLSN: LSN,
    confirmedFlush: LSN, slotCreated: Bool, asynchronousCommit: Bool, publication: [TableName: String],
    unpublished: Set<TableName>, snapshot: TransactionSnapshot, partitioned: Set<TableName>,
    partitions: Set<TableName> = [], partitionTree: String? = nil, bareTables: [Int: String],
    missingColumns: [Int: String] = [:], conditionTypes: [Int: String] = [:],
    history: TimelineHistory = TimelineHistory(),
    isSlotSynchronized: Bool = false,
    database: String? = nil
  ) {
    self.database = database
    self.systemIdentifier = systemIdentifier
    self.timeline = timeline
    self.history = history
    self.crashMarker = crashMarker
    self.flushLSN = flushLSN
    self.insertLSN = insertLSN
    self.confirmedFlush = confirmedFlush
    self.isSlotSynchronized = isSlotSynchronized
    self.slotCreated = slotCreated
    self.asynchronousCommit = asynchronousCommit
    self.publication = publication
    self.unpublished = unpublished
    self.snapshot = snapshot
    self.partitioned = partitioned
    self.partitions = partitions
    self.partitionTree = partitionTree
    self.bareTables = bareTables
    self.missingColumns = missingColumns
    self.conditionTypes = conditionTypes
  }
}

/// Where a read replica stands (contract 1).
package struct ReplicaFacts: Sendable, Equatable {
  /// `pg_is_in_recovery()`.
  package var isStandby: Bool
  package var systemIdentifier: String
  /// The timeline that it follows, as far as it tells: the largest of `pg_stat_wal_receiver.received_tli`,
  /// `pg_control_recovery().min_recovery_end_timeline` and `pg_control_checkpoint().timeline_id`.
  package var timeline: UInt32
  /// A text that changes when the server starts and when it recovers from a crash, and differs between servers: after
  /// either a replica may open for reads at an older state than it had shown before.
  package var incarnation: String
  /// `pg_last_wal_replay_lsn()`: the end of what its readers see.
  package var replayed: LSN

  package init(
    isStandby: Bool, systemIdentifier: String, timeline: UInt32, incarnation: String, replayed: LSN
  ) {
    self.isStandby = isStandby
    self.systemIdentifier = systemIdentifier
    self.timeline = timeline
    self.incarnation = incarnation
    self.replayed = replayed
  }

  /// Why it says nothing of the readers behind a primary of this identity; nil when it does.
  package func problem(system: String, timeline primary: UInt32) -> String? {
    if !isStandby { return "it is not a standby: take it out of source.replicas, or point it at one" }
    if systemIdentifier != system {
      return "it is a standby of another database cluster (system identifier \(systemIdentifier))"
    }
    if timeline != primary {
      return
        "it follows timeline \(timeline), and the source is on \(primary); a role that is no member"
        + " of pg_read_all_stats learns of a new timeline late"
    }
    return nil
  }
}

/// Why PostgreSQL is not there, as far as it changes what to do next.
package struct SourceFailure: Error, Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    /// The server cannot be reached, the connection broke, or it was refused.
    case unavailable
    /// SQLSTATE 57P03 "is shutting down", or 57P01: let the server go (contract 3).
    case shuttingDown
    /// SQLSTATE 55006: another process streams from the slot; wait and retry.
    case slotInUse
    /// The slot was invalidated or cannot be used any more; it has to be made anew.
    case slotLost
    /// The publication leaves out kinds of changes, so that some may have been missed.
    case unpublished
    /// Something else that an operator has to mend first: a missing publication, wrong wal_level, permissions.
    case misconfigured
  }
  package var kind: Kind
  /// One sentence for people, secrets removed, with the remedy where there is one.
  package var message: String

  package init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }
}
