package import FoundationEssentials
package import Invalidation

/// A notice, when it came last and how often it came.
package struct RecordedNotice: Sendable {
  package var at: Date
  package var notice: Notice
  package var count = 1

  package init(at: Date, _ notice: Notice) {
    self.at = at
    self.notice = notice
  }
}

/// The last few notices, one for each cause: enough to see what goes wrong without opening the log.
struct NoticeHistory {
  private static let capacity = 20

  private(set) var recent: [RecordedNotice] = []

  mutating func append(_ recorded: RecordedNotice) {
    var recorded = recorded
    let notice = recorded.notice
    let same = recent.firstIndex { $0.notice.cause == notice.cause && $0.notice.rule == notice.rule }
    if let same {
      recorded.count += recent.remove(at: same).count
    } else if recent.count == NoticeHistory.capacity {
      recent.removeFirst()
    }
    recent.append(recorded)
  }
}
