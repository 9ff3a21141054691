/// What IDENTIFY_SYSTEM says of the server behind a replication connection.
struct SystemIdentity: Sendable, Equatable {
  var system: String
  var timeline: UInt32

  /// Nil when the rows are not the one that IDENTIFY_SYSTEM sends.
  init?(_ rows: [[String?]]) {
    guard let row = rows.first, row.count >= 2, let system = row[0],
      let timeline = row[1].flatMap({ UInt32($0) })
    else { return nil }
    self.system = system
    self.timeline = timeline
  }
}
