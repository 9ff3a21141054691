import FoundationEssentials
import Hummingbird
import Invalidation

/// `/why?key=user:7`: what deleted this key last. That a key was not seen is an answer as well, so that it is 200 too.
enum WhyPage {
  private struct Refusal: Encodable {
    let error: String
  }

  static func page(_ board: StatusBoard) -> Page {
    Page(path: "/why", summary: "what deleted a key last: ?key=user:7") { request, _ in
      let wanted: WhyRequest
      do throws(WhyRequestError) {
        wanted = try WhyRequest(query: request.uri.query)
      } catch {
        return .json(.badRequest, Refusal(error: error.message))
      }
      let snapshot = board.snapshot()
      guard snapshot.hasReported else {
        return .json(.serviceUnavailable, Refusal(error: "the event loop has not reported yet; try again"))
      }
      return .json(.ok, WhyReport(wanted.key, snapshot, now: .now))
    }
  }
}

/// One deleted key, of `/why` and of `last_invalidations` in `/status`. Times are UTC; fields that do not apply are left
/// out: a message has no table, a row of an outbox neither the position nor the time of a commit, and of a second delete
/// only the rule may be known.
struct DeletionReport: Codable {
  let at: String
  /// With U+FFFD for bytes that are no UTF-8, and an ellipsis where it was cut.
  let key: String
  let rule: String
  let table: String?
  let lsn: String?
  let xid: UInt32?
  let committedAt: String?
  /// When the row of the outbox was written.
  let writtenAt: String?
  /// From the commit, or the row of the outbox, to the delete.
  let milliseconds: Double?
  /// True when Redis had lost an earlier delete of it, which came sooner.
  let replayed: Bool?
  /// Deleted a second time, for `redelete_after` or read replicas.
  let onceMoreAt: String?
}

/// The JSON of `/why`.
struct WhyReport: Codable {
  /// A flush that may have deleted the key later, without naming it.
  struct Flush: Codable {
    let rule: String
    let reason: String
    let explanation: String
    /// Both absent while it is open.
    let beganAt: String?
    let endedAt: String?
  }

  struct Template: Codable {
    let rule: String
    let template: String
  }

  let key: String
  let found: Bool
  let deletion: DeletionReport?
  /// Since the last delete of the key.
  let ageSeconds: Double?
  let flushes: [Flush]
  /// Every delete since then is known: since the daemon started, or since the oldest that is not forgotten.
  let since: String
  let sinceStart: Bool
  /// The rules that may give such a key.
  let rules: [String]
  /// When there is none.
  let nearest: Template?
}

extension DeletionReport {
  init(_ key: [UInt8], isCut: Bool = false, _ deletion: Deletion) {
    at = postgresTime(deletion.acknowledged).iso8601
    self.key =
      isCut
      ? String(decoding: key.wholeCharacters, as: UTF8.self) + "…" : String(decoding: key, as: UTF8.self)
    rule = deletion.rule
    table = deletion.table?.description
    milliseconds = deletion.delay.map { (Double($0) / 100).rounded() / 10 }
    replayed = deletion.isReplay ? true : nil
    onceMoreAt = deletion.onceMore.map { postgresTime($0).iso8601 }
    switch deletion.cause {
    case .commit(let xid, let position, let time):
      lsn = position.description
      self.xid = xid
      committedAt = postgresTimeText(time)
      writtenAt = nil
    case .outbox(let xid, let time):
      lsn = nil
      self.xid = xid
      committedAt = nil
      writtenAt = postgresTimeText(time)
    case .secondDelete: (lsn, xid, committedAt, writtenAt) = (nil, nil, nil, nil)
    }
  }
}

extension WhyReport {
  init(_ key: [UInt8], _ snapshot: StatusBoard.Snapshot, now: Date) {
    let history = snapshot.history
    let deletion = history.lastDeletion(of: key)
    self.key = String(decoding: key, as: UTF8.self)
    found = deletion != nil
    self.deletion = deletion.map { DeletionReport(key, $0) }
    ageSeconds = deletion.map { (now.timeIntervalSince(postgresTime($0.latest)) * 1_000).rounded() / 1_000 }
    let open = snapshot.status.openFlushes.filter { flush in
      history.rules.contains {
        $0.name == flush.rule && $0.flushPatterns.contains { Glob.matches($0, key) }
      }
    }
    let finished = history.flushes.filter { flush in
      flush.ended >= deletion?.latest ?? .min && flush.patterns.contains { Glob.matches($0, key) }
    }
    flushes = open.map(Flush.init) + finished.reversed().map(Flush.init)
    since = postgresTime(history.completeSince).iso8601
    sinceStart = history.isWhole
    rules = history.rules.filter { $0.mayGive(key) }.map(\.name)
    nearest =
      rules.isEmpty
      ? history.rules.nearestTemplate(to: key).map { Template(rule: $0.rule, template: $0.template) } : nil
  }
}

extension WhyReport.Flush {
  fileprivate init(_ flush: EngineStatus.Flush) {
    self.init(
      rule: flush.rule, reason: flush.reason.rawValue, explanation: flush.reason.explanation, beganAt: nil,
      endedAt: nil)
  }

  fileprivate init(_ flush: FinishedFlush) {
    self.init(
      rule: flush.rule, reason: flush.reason.rawValue, explanation: flush.reason.explanation,
      beganAt: postgresTime(flush.began).iso8601, endedAt: postgresTime(flush.ended).iso8601)
  }
}

extension [UInt8] {
  /// Without a last character of which bytes may be missing.
  fileprivate var wholeCharacters: ArraySlice<UInt8> {
    guard let start = lastIndex(where: { $0 & 0xC0 != 0x80 }), self[start] >= 0xC0 else { return self[...] }
    return self[..<start]
  }
}
