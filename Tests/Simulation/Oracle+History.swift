import Invalidation

/// What was committed, for the history that `cdcd why` tells from.
struct CommittedKeys {
  var positions: Set<LSN> = []
  var keys: Set<String> = []
}

/// Whether cdcd tells the truth about what it deleted last.
extension Oracle {
  func remember(_ commit: Commit) {
    var known = committedKeys[UInt32(truncatingIfNeeded: commit.xid)] ?? CommittedKeys()
    known.positions.insert(LSN(commit.commitLSN))
    for change in commit.changes {
      let keys = KeyMapping.keys(of: change)
      known.keys.formUnion(keys.required + keys.allowed)
      // Where rules are replaced, `names` may listen to every change.
      guard change.table == .users else { continue }
      for row in [change.old, change.new] { if let row { known.keys.insert("name:\(row.id)") } }
    }
    committedKeys[UInt32(truncatingIfNeeded: commit.xid)] = known
  }

  /// Each of the last keys is one of the transaction beside it, and is found by its text.
  func checkHistory(_ history: InvalidationHistory) {
    for entry in history.latestDeletions where !entry.isCut {
      let key = String(decoding: entry.key, as: UTF8.self)
      guard let found = history.lastDeletion(of: entry.key) else {
        return world.fail("why", "\(key) is not found, though it is one of the last")
      }
      guard isTrue(found.cause, of: key), isTrue(entry.deletion.cause, of: key) else {
        return world.fail("why", "\(key) is no key of \(entry.deletion.cause), or of \(found.cause)")
      }
    }
  }

  private func isTrue(_ cause: Deletion.Cause, of key: String) -> Bool {
    // Of a scenario's own template, which the mapping does not know.
    if key.hasSuffix(":bare") { return true }
    switch cause {
    case .commit(let xid, let position, _):
      guard let known = committedKeys[xid] else { return false }
      return known.keys.contains(key) && known.positions.contains(position)
    case .outbox(let xid, _): return committedKeys[xid]?.keys.contains(key) ?? false
    case .secondDelete: return true
    }
  }
}
