/// What a cached value was computed from, and how it came into the cache: known to the oracle alone.
struct Snapshot: Equatable {
  enum Fill {
    /// By the lease protocol.
    case leased
    /// By a plain SET, less than `redelete_after` after the snapshot.
    case plain
    /// By a plain SET that came later: nothing is promised for it.
    case late
  }

  /// When it was taken, in the oracle's ticks.
  var tick: UInt64
  /// Taken on a read replica, which had replayed up to here; nil for the primary.
  var replayed: UInt64?
  var fill = Fill.leased

  /// A replica shows what it has replayed, the primary what has left the proc array.
  func includes(_ commit: Commit) -> Bool {
    if let replayed { return commit.endLSN <= replayed }
    return commit.visibleTick.map { $0 < tick } ?? false
  }
}

/// Whose reads a check is about.
enum Audience {
  /// Those who read the primary and fill by leases: first deletes are for them.
  case primary
  /// Those who read replicas and those who fill by a plain SET, too.
  case everybody

  func judges(_ snapshot: Snapshot) -> Bool {
    switch (self, snapshot.fill) {
    case (_, .late), (.primary, .plain): false
    case (.primary, .leased): snapshot.replayed == nil
    case (.everybody, .leased), (.everybody, .plain): true
    }
  }
}
