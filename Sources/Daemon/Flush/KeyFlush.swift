import Invalidation
import PostgresSource

/// `cdcd flush`: deletes what the patterns of rules cover, leases first, paced, on a connection of its own. It may run
/// beside the daemon.
///
/// It promises: once it has ended well, no read of a key that the rules' patterns cover returns a value computed from a
/// snapshot that was taken before it started (with readers as the contract assumes them). So whatever was changed and
/// *committed, as its author was told,* before the start is out of the cache, also what PostgreSQL's log never told.
///
/// Why no barrier is needed. The Engine flushes because of a position in the WAL, and has to wait until what lies before
/// it is visible. Here a person flushes because of a COMMIT that has returned, and PostgreSQL answers a COMMIT only when
/// every new snapshot of the primary shows it (`ProcArrayEndTransaction` comes first; with a synchronous standby, its
/// answer too). A lease that is granted after the start therefore brings a value that has the change. An older lease is
/// deleted by the first walk, or has filled its key before that; then the key is there when the second walk begins, and
/// SCAN returns every key that is there throughout. A transaction that has committed and is not yet visible at the start
/// has told nobody so: when it reached the stream, its deletes are the daemon's, behind the daemon's barrier; when
/// it bypasses the stream, its author is still waiting, and runs the command when COMMIT has returned. To wait for every
/// open transaction, as a barrier does, would promise more to nobody, and one forgotten session would hold it for ever.
///
/// For the primary's readers no PostgreSQL is asked, and none has to run. Declared read replicas show a change
/// later, so the walk begins when each has replayed what the primary's WAL held at the start; one that was started
/// anew meanwhile may have shown older rows again, and all is done once more. Readers that fill by a plain SET are
/// waited for as long as their rules' `redelete_after` says, and those rules' keys are walked a second time.
///
/// The watermark is not touched: nothing of the stream's position changes. So nobody remembers these deletes, as the
/// daemon remembers its own flushes: what a failover of Redis loses of them *afterwards* comes back.
package struct KeyFlush: Sendable {
  /// How it ended. What was deleted until then stays deleted.
  package enum Outcome: Sendable, Equatable {
    case done
    /// Somebody stopped it; so much of the walk was done.
    case interrupted(fraction: Double)
    /// A server was away, or refused the login, for too long: why.
    case unreachable(String)
    /// Redis does not let it: what mends it.
    case refused([Finding])
  }

  /// What it does, for whoever waits.
  package enum Report: Sendable, Equatable {
    /// For something else than Redis's pace, and how far that is.
    case waiting(for: String, state: String = "")
    case walking(FlushProgress)
    /// Something failed, and is tried again. Told once for each reason.
    case retrying(String)
  }

  let redis: Configuration.Redis
  let source: Configuration.Source
  let rules: [Rule]
  /// Those to flush.
  let indices: [Int]
  let deletes: Bool
  let patience: Duration

  /// `names` are those of the rules to flush; all, when there are none. Without `deletes` it counts. `patience` is how
  /// long a server may be away.
  package init(
    _ configuration: Configuration, rules names: [String], deletes: Bool, patience: Duration
  ) throws(FlushRefusal) {
    rules = configuration.rules
    indices = try FlushRefusal.check(names, of: rules)
    redis = configuration.redis
    source = configuration.source
    self.deletes = deletes
    self.patience = patience
  }

  /// Blocks its thread until the end. `isInterrupted` is asked several times a second.
  package func run(
    isInterrupted: @escaping () -> Bool, report: @escaping (Report) -> Void
  ) -> (outcome: Outcome, summary: FlushSummary) {
    let patience = FlushPatience(patience, isInterrupted: isInterrupted, report: report)
    var walk = FlushWalk(self, patience: patience)
    do throws(FlushEnding) {
      if deletes { try flush(&walk) } else { try walk.run(indices) }
      return (.done, walk.summary)
    } catch {
      switch error {
      case .interrupted: return (.interrupted(fraction: walk.fraction), walk.summary)
      case .unreachable(let reason): return (.unreachable(reason), walk.summary)
      case .refused(let findings): return (.refused(findings), walk.summary)
      }
    }
  }

  private func flush(_ walk: inout FlushWalk) throws(FlushEnding) {
    var replicas = ReplicaCatchUp(source)
    repeat {
      try replicas.wait(&walk.patience)
      let passed = ContinuousClock.now
      try walk.run(indices)
      let fillers = indices.filter { rules[$0].redeleteAfter != nil }
      if let delay = fillers.compactMap({ rules[$0].redeleteAfter }).max() {
        walk.patience.tell(waitingFor: "readers that fill by a plain SET (redelete_after)")
        try walk.patience.sleep(until: passed + delay)
        try walk.run(fillers)
      }
    } while try replicas.mayHaveShownOlderRows(&walk.patience)
  }
}
