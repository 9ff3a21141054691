/// What a flush or a new slot waits for, by name: one forgotten transaction can hold them up for ever (contract 4).
extension Engine {
  /// When the oldest transaction is to be asked for; nil unless a flush waits at its barrier.
  var blockerDueAt: Int64? {
    guard let job = flushes.job, case .waiting = job.phase else { return nil }
    return job.blockerDueAt
  }

  mutating func askBlocker() {
    flushes.job?.blockerDueAt = now.monotonic + FlushState.blockerInterval
    queries.link = .asking(since: now.monotonic)
    emit(.queryBlocker)
  }

  mutating func blockerArrived(_ blocker: BlockingTransaction?) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming else { return }
    if let job = flushes.job, case .waiting = job.phase {
      if let blocker, blocker.holder != job.blocker?.holder {
        report(
          .notice, "flush_waits", "a flush waits for \(blocker.description); deletes go on meanwhile",
          rule: names(of: job.rules))
      }
      flushes.job?.blocker = blocker
    }
    askIfNeeded()
  }

  /// The oldest transaction that has committed and that no snapshot shows for so long: it waits for a synchronous standby.
  var longParked: (xid: UInt32, seconds: Int64)? {
    guard let oldest = barrier.waiting.first(where: { $0.isParked && $0.isCommitted }) else { return nil }
    let age = now.monotonic - oldest.since
    return age >= FlushState.blockerInterval ? (oldest.xid, age / 1_000_000_000) : nil
  }

  func parkedProblem(_ parked: (xid: UInt32, seconds: Int64)) -> String {
    "transaction \(parked.xid) has committed, and no reader sees it since \(parked.seconds) s: it waits for a synchronous"
      + " standby (synchronous_standby_names); /wait waits for it, other deletes go on"
  }

  mutating func reportParked() {
    guard let parked = longParked else { return barrier.isParkedTold = false }
    guard !barrier.isParkedTold else { return }
    barrier.isParkedTold = true
    report(.warning, "commit_invisible", parkedProblem(parked), xid: parked.xid)
  }

  mutating func slotWaits(_ blocker: BlockingTransaction) {
    guard source.phase == .connecting else { return }
    if blocker.holder != source.blocker?.holder {
      report(.notice, "slot_waits", "the new slot waits for \(blocker.description)")
    }
    source.blocker = blocker
  }
}
