/// The rules in force.
package struct RuleSet: Sendable {
  package var rules: [Rule]
  /// `on_gap`, for rules that do not name their own.
  package var onGap: GapPolicy

  package init(_ rules: [Rule], onGap: GapPolicy) {
    self.rules = rules
    self.onGap = onGap
  }
}

/// What the Engine is told at its creation; the rules and their `on_gap` may be replaced later.
package struct EngineConfiguration: Sendable {
  package var rules: [Rule]
  package var mode: SourceMode
  /// Of `notify`: how often the outbox is read when nothing tells of new rows.
  package var pollInterval: Duration
  /// The slot's name; part of the watermark's key.
  package var slot: String
  /// `source.retain`: how far the confirmed position is held behind the settled one.
  package var retain: Duration
  /// `source.lossless_crash`: no session commits asynchronously, so that a crash of PostgreSQL loses nothing that readers
  /// saw.
  package var losslessCrash: Bool
  /// `source.lossless_failover`: every commit waits for the standby that takes over, so that a failover loses nothing that
  /// readers saw.
  package var losslessFailover: Bool
  /// `redis.command`.
  package var command: DeleteCommand
  /// `redis.leases`: delete each key's lease before it.
  package var leases: Bool
  /// `on_gap`, for rules that do not name their own.
  package var onGap: GapPolicy
  /// `cdcd run --accept-gap`: take the next gap of a `halt` rule as accepted, once.
  package var acceptGap: Bool
  /// A text that no other run of any daemon has: it goes into every watermark.
  package var runIdentifier: String
  /// The names of the Redis targets, for status and messages. Their indices are the `target` of events.
  package var targets: [String]
  /// The names of the read replicas whose readers fill the cache, for status and messages (`source.replicas`). Their
  /// indices are the `replica` of events.
  package var replicas: [String]
  /// The most keys a second a flush deletes.
  package var flushRate: Int

  package enum DeleteCommand: String, Sendable, CaseIterable {
    case unlink, del
  }

  package init(
    rules: [Rule], slot: String, retain: Duration = .seconds(60), command: DeleteCommand = .unlink,
    leases: Bool = true, onGap: GapPolicy = .flush, acceptGap: Bool = false, runIdentifier: String,
    targets: [String] = ["redis"], replicas: [String] = [], flushRate: Int = 50_000,
    losslessCrash: Bool = false, losslessFailover: Bool = false, mode: SourceMode = .pgoutput,
    pollInterval: Duration = .seconds(1)
  ) {
    self.rules = rules
    self.slot = slot
    self.retain = retain
    self.command = command
    self.leases = leases
    self.onGap = onGap
    self.acceptGap = acceptGap
    self.runIdentifier = runIdentifier
    self.targets = targets
    self.replicas = replicas
    self.flushRate = flushRate
    // What waits for a standby is on the primary's own disk before.
    self.losslessCrash = losslessCrash || losslessFailover
    self.losslessFailover = losslessFailover
    self.mode = mode
    self.pollInterval = pollInterval
  }
}
