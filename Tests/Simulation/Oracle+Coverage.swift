import Invalidation

/// Which deletes have reached which commits.
extension Oracle {
  func reviewOutstanding() {
    outstanding.removeAll { commit in
      guard isCovered(commit, for: .primary) else { return false }
      if commit.first.time == nil { commit.first.time = world.now }
      if !world.options.hasSecondDeletes { commit.second = commit.first }
      return true
    }
  }

  func reviewUnsettled() {
    unsettled.removeAll { commit in
      guard isCovered(commit, for: .everybody) else { return false }
      if commit.second.time == nil { commit.second.time = world.now }
      return true
    }
  }

  /// Looks at a commit again, as if no delete had been seen; whether one is missing on this lineage.
  func isLost(_ commit: Commit, for audience: Audience) -> Bool {
    switch audience {
    case .primary: isLost(&commit.first, commit, for: audience)
    case .everybody: isLost(&commit.second, commit, for: audience)
    }
  }

  private func isLost(_ coverage: inout Commit.Coverage, _ commit: Commit, for audience: Audience) -> Bool {
    coverage.prefix = 0
    if isCovered(&coverage, commit, for: audience) { return false }
    if let time = coverage.time { coverage.timeBeforeBreak = min(coverage.timeBeforeBreak ?? time, time) }
    coverage.time = nil
    return true
  }

  /// Whether every required key was deleted after the audience's servers had shown the commit, on this lineage.
  func isCovered(_ commit: Commit, for audience: Audience) -> Bool {
    switch audience {
    case .primary: isCovered(&commit.first, commit, for: audience)
    case .everybody: isCovered(&commit.second, commit, for: audience)
    }
  }

  private func isCovered(_ coverage: inout Commit.Coverage, _ commit: Commit, for audience: Audience) -> Bool
  {
    guard isShown(commit, to: audience) else { return false }
    while coverage.prefix < commit.required.count {
      switch cover(commit.required[coverage.prefix], commit, for: audience) {
      case .none: return false
      case .byFlush: coverage.isByFlush = true
      case .byDelete: break
      }
      coverage.prefix += 1
    }
    return true
  }

  private func isShown(_ commit: Commit, to audience: Audience) -> Bool {
    audience == .primary ? commit.visibleTick != nil : commit.seenTick != nil
  }

  private enum Cover { case none, byDelete, byFlush }

  private func cover(_ key: String, _ commit: Commit, for audience: Audience) -> Cover {
    let data = redis.data
    let shown = (audience == .primary ? commit.visibleTick : commit.seenTick) ?? .max
    // A plain SET may bring what was read before for so long.
    var earliest = Int64.min
    if audience == .everybody, world.options.redeleteAfter > 0 {
      let delay = KeyMapping.redeleteDelay(of: key, world.options.redeleteAfter)
      if delay > 0 { earliest = (commit.seenTime ?? 0) + delay }
    }
    if let deleted = data.deletedAt[key], deleted > shown, data.deletedTime[key] ?? 0 >= earliest {
      return .byDelete
    }
    if data.emptiedAt > shown, data.emptiedTime >= earliest { return .byDelete }
    let isPassed = data.passes.contains { pass in
      pass.begun > shown && pass.time >= earliest && pass.takes(key)
    }
    return isPassed && isClean(key, commit, for: audience) ? .byFlush : .none
  }

  /// No stale value is cached that these readers may hit, and no lease is out that could bring one.
  func isClean(_ key: String, _ commit: Commit, for audience: Audience) -> Bool {
    if let snapshot = redis.data.cached(key), audience.judges(snapshot), !snapshot.includes(commit) {
      return false
    }
    let shown = (audience == .primary ? commit.visibleTick : commit.seenTick) ?? .max
    if let lease = redis.data.lease(key, now: world.now), lease.granted < shown { return false }
    return true
  }

  func describe(_ key: String) -> String {
    var text = "value " + (redis.data.cached(key).map { "of \($0)" } ?? "absent")
    if let lease = redis.data.lease(key, now: world.now) { text += ", lease granted at \(lease.granted)" }
    if let deleted = redis.data.deletedAt[key] { text += ", last deleted at \(deleted)" }
    return text
  }

  func describe(_ commit: Commit, for audience: Audience) -> String {
    guard isShown(commit, to: audience) else { return "it is not shown everywhere" }
    let missing = commit.required.first { cover($0, commit, for: audience) == .none }
    return missing.map { "\($0) was not deleted since: " + describe($0) } ?? "nothing is missing"
  }
}
