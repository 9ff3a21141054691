package import FoundationEssentials
import Invalidation

/// `cdcd status` for people: what `/status` and `/healthz` say, in 80 columns.
package struct StatusText: Sendable {
  /// Whether the daemon is ready.
  package let isReady: Bool
  /// Without an end of line.
  package let text: String

  /// Asks the running daemon; `source` is the file's.
  package init(
    asking client: StatusClient, source: Configuration.Source, isColored: Bool, now: Date = .now
  ) async throws(StatusClient.Failure) {
    let (status, health) = try await client.reports()
    self.init(status, health, source: source, isColored: isColored, now: now)
  }

  init(
    _ status: StatusReport, _ health: HealthReport, source: Configuration.Source, isColored: Bool = false,
    now: Date
  ) {
    isReady = status.ready
    var page = StatusLayout()
    page.add(Self.headline(status, health, isColored: isColored, now: now))
    for obstacle in status.notReady where obstacle.check != "gap" || status.flushes.isEmpty {
      page.add("\(obstacle.check): \(obstacle.message.printable)", indentedBy: 2)
    }
    if !status.flushes.isEmpty {
      page.add(
        "gap: \(Self.count(UInt64(status.flushes.count), "rule")) to be flushed, see below", indentedBy: 2)
    }
    for obstacle in status.degraded {
      page.add("besides, \(obstacle.check): \(obstacle.message.printable)", indentedBy: 2)
    }
    page.addBlank()
    page.add("running", Self.duration(status.uptimeSeconds))
    Self.addSource(status, source, to: &page)
    Self.addPositions(status, to: &page)
    Self.addTargets(status, to: &page)
    Self.addTotals(status, to: &page)
    Self.addRates(status.rates, to: &page)
    Self.addRules(status.rules, to: &page)
    Self.addFlushes(status.flushes, to: &page)
    Self.addErrors(status.lastErrors, to: &page)
    text = page.lines.joined(separator: "\n")
  }

  // MARK: Sections

  private static func headline(
    _ status: StatusReport, _ health: HealthReport, isColored: Bool, now: Date
  ) -> String {
    let word = status.ready ? "ready" : "NOT READY"
    let shown = isColored ? "\u{1B}[1;\(status.ready ? 32 : 31)m\(word)\u{1B}[0m" : word
    let head = "cdcd \(status.version) is \(shown)"
    guard let since = health.stateSince else { return head + "." }
    return "\(head) since \(time(since)) (\(duration(now.timeIntervalSince(since))))."
  }

  private static func addSource(
    _ status: StatusReport, _ source: Configuration.Source, to page: inout StatusLayout
  ) {
    page.add("source", source.redacted)
    var words = [source.mode.rawValue]
    if source.mode != .notify { words.append("slot \(source.slot)") }
    if source.mode == .pgoutput { words.append("publication \(source.publication)") }
    page.add("", words.joined(separator: ", "))
    page.add("", connection(status.source))
  }

  private static func connection(_ source: StatusReport.Source) -> String {
    var words = [
      source.streaming ? "streaming" : source.connected ? "connected, not streaming" : "NOT CONNECTED"
    ]
    if let age = source.lastMessageAgeSeconds { words.append("last message \(duration(age)) ago") }
    if source.reconnects > 0 { words.append(count(source.reconnects, "reconnect")) }
    if source.retries > 0 { words.append(count(source.retries, "failed try", plural: "failed tries")) }
    return words.joined(separator: ", ")
  }

  private static func addPositions(_ status: StatusReport, to page: inout StatusLayout) {
    switch status.lagBytes {
    case nil: page.add("lag", "unknown: nothing is settled yet")
    case 0? where status.flushes.isEmpty:
      page.add("lag", "none: all that PostgreSQL has told of is out of the cache")
    case 0?: page.add("lag", "none in the stream; what is flushed did not come by it")
    case let lag?: page.add("lag", "\(bytes(lag)) of WAL are not settled yet")
    }
    let positions = status.positions
    let rows = [
      ("server", positions.server), ("received", positions.received), ("applied", positions.applied),
      ("settled", positions.settled), ("confirmed", positions.confirmed),
    ]
    for (number, (name, position)) in rows.enumerated() {
      let behind = LSN(position).flatMap { LSN(positions.server)?.distance(from: $0) } ?? 0
      // A position that nothing has reached yet is no distance.
      let isKnown = position != LSN.zero.description
      page.add(
        number == 0 ? "positions" : "",
        name.padded(to: 11) + (isKnown ? position.padded(to: 18) : "-")
          + (isKnown && behind > 0
            ? "\(bytes(behind)) behind" + (name == "confirmed" ? ", for a replay" : "") : ""))
    }
    if let retention = status.retention { page.add("retained", words(for: retention)) }
    if status.parked.transactions > 0 {
      page.add(
        "parked",
        "\(count(UInt64(status.parked.transactions), "transaction")), committed and not visible yet"
          + (status.parked.oldestXid.map { "; the oldest is xid \($0)" } ?? ""))
    }
    if status.queueBytes > 0 { page.add("in flight", "\(bytes(UInt64(status.queueBytes))) of keys") }
  }

  private static func words(for retention: StatusReport.Retention) -> String {
    if let rows = retention.outboxRows { return "\(count(rows, "row")) in the outbox" }
    var words = "\(bytes(retention.walBytes ?? 0)) of WAL for the slot"
    if let safe = retention.safeWalBytes { words += ", \(bytes(safe)) more may be written before it is lost" }
    return words
  }

  private static func addTargets(_ status: StatusReport, to page: inout StatusLayout) {
    for target in status.targets {
      page.add("redis", target.name)
      page.add("", target.connected ? "connected, at \(target.applied)" : "NOT CONNECTED")
      if let error = target.lastError { page.add("", error) }
    }
    for replica in status.replicas {
      page.add("replica", replica.name)
      page.add(
        "",
        (replica.reachable ? "replaying" : "NOT REACHABLE") + (replica.replayed.map { ", at \($0)" } ?? ""))
      if let problem = replica.problem { page.add("", problem) }
    }
    if status.secondDeletes.pending > 0 {
      page.add("again", "\(count(UInt64(status.secondDeletes.pending), "key")) wait for the second delete")
    }
  }

  private static func addTotals(_ status: StatusReport, to page: inout StatusLayout) {
    let totals = status.totals
    page.add(
      "in all",
      "\(count(totals.transactions, "transaction")), \(count(totals.keysDeleted, "key")) deleted,"
        + " \(grouped(totals.keysHit)) of which were cached")
    let rare = [
      (totals.gaps, count(totals.gaps, "gap")),
      (
        totals.flushes,
        "\(count(totals.flushes, "flush", plural: "flushes")) of \(count(totals.flushedKeys, "key"))"
      ),
      (totals.lineageBreaks, count(totals.lineageBreaks, "lost watermark")),
      (totals.replayedTransactions, count(totals.replayedTransactions, "replayed transaction")),
    ].filter { $0.0 > 0 }.map(\.1)
    if !rare.isEmpty { page.add("", rare.joined(separator: ", ")) }
  }

  private static func addRates(_ rates: [StatusReport.RatePerSecond], to page: inout StatusLayout) {
    guard !rates.isEmpty else { return }
    page.addBlank()
    func row(_ name: String, _ cells: [String]) {
      page.add(name.padded(to: 24) + cells.map { $0.paddedLeft(to: 12) }.joined())
    }
    row("PER SECOND, OF THE LAST", rates.map { "\($0.windowSeconds) s" })
    row("  transactions", rates.map { decimal($0.transactions) })
    row("  keys deleted", rates.map { decimal($0.keys) })
  }

  private static func addRules(_ rules: [StatusReport.RuleCount], to page: inout StatusLayout) {
    guard !rules.isEmpty else { return }
    page.addBlank()
    page.add("RULE".padded(to: 46) + "KEYS DELETED".paddedLeft(to: 14))
    for rule in rules {
      page.add("  " + rule.name.printable.padded(to: 44) + grouped(rule.keysDeleted).paddedLeft(to: 14))
    }
  }

  private static func addFlushes(_ flushes: [StatusReport.Flush], to page: inout StatusLayout) {
    guard !flushes.isEmpty else { return }
    page.addBlank()
    page.add("OPEN FLUSHES")
    // Rules that are flushed together for the same reason are told together.
    var rest = flushes[...]
    while let flush = rest.first {
      let progress = progress(of: flush)
      let same = rest.prefix { $0.explanation == flush.explanation && self.progress(of: $0) == progress }
      rest = rest.dropFirst(same.count)
      let names = same.map(\.rule.printable).joined(separator: ", ")
      page.add("\(names): \(flush.explanation)", indentedBy: 2)
      page.add(progress, indentedBy: 4)
    }
  }

  private static func progress(of flush: StatusReport.Flush) -> String {
    switch flush.phase {
    case "unpublished": return "waiting for its table, of which no changes come: see above"
    case "barrier": return "waiting for \(flush.waitsFor ?? "running transactions")"
    default: break
    }
    return "\(flush.phase): \(count(flush.scannedKeys, "key")) found, \(grouped(flush.deletedKeys)) deleted"
  }

  private static func addErrors(_ errors: [StatusReport.LoggedError], to page: inout StatusLayout) {
    guard !errors.isEmpty else { return }
    page.addBlank()
    page.add("LAST WARNINGS AND ERRORS, the newest first")
    for error in errors.reversed().prefix(5) {
      let at = (try? Date(error.at, strategy: iso8601)).map(time) ?? error.at
      page.add(
        "\(at) \(error.severity)\(error.count > 1 ? ", \(error.count) times" : ""): \(error.message.printable)",
        indentedBy: 2)
    }
  }
}

extension HealthReport {
  /// Since when the daemon is ready, or is not; nil when it does not tell.
  var stateSince: Date? {
    // What is besides wrong although it is ready.
    let others = ["replicas", "barrier"]
    let times = checks.filter { ready ? !others.contains($0.name) : !$0.ok }
      .compactMap { $0.since.flatMap { try? Date($0, strategy: iso8601) } }
    return ready ? times.max() : times.min()
  }
}

/// As `Date.iso8601` writes it.
private let iso8601 = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
