/// What is known of one read replica.
struct ReplicaState: Sendable {
  /// A question is under way.
  var isAsking = false
  /// When the next question is due unless one is needed sooner, and how soon that may be.
  var nextAskAt: Int64 = 0
  var neededAt: Int64 = 0
  var recheckDelay = ReplicaState.firstRecheck
  var backoff = Backoff()
  var hasAnswered = false
  /// As far as it has replayed the source's present timeline; zero while that is not known.
  var replayed = LSN.zero
  /// Its entry in the watermark: which server, and which start of it, the second deletes up to there were made for.
  var entry: String?
  /// Why its answers do not count, or none came.
  var problem: String?

  /// How the replica of this name stands in the watermark; without an incarnation, what its entry begins with.
  static func entry(of name: String, _ incarnation: String?) -> String {
    shortHash(name) + ":" + (incarnation.map(shortHash) ?? "")
  }

  /// Nanoseconds.
  static let firstRecheck: Int64 = 5_000_000
  static let slowestRecheck: Int64 = 200_000_000
  static let idleInterval: Int64 = 5_000_000_000
}
