/// The oracle's own idea of which keys a change stands for: written by hand for the world's tables, sharing
/// nothing with the rules the Engine runs.
enum KeyMapping {
  /// Keys that must go, and keys that may go besides.
  struct Keys {
    var required: [String] = []
    var allowed: [String] = []
  }

  static func keys(of change: Change) -> Keys {
    var keys = Keys()
    if change.kind == .message { keys.required = change.keys }
    switch change.table {
    case .users: users(change, &keys)
    case .orders:
      for row in [change.old, change.new] {
        if let row { keys.required += orderKeys(row) }
      }
    case .audit, .sessions: break
    }
    return keys
  }

  /// Keys of the rows that a TRUNCATE took away; the rules `names` and `edits` do not listen to it.
  static func truncatedKeys(_ table: Table, _ row: Row) -> [String] {
    switch table {
    case .users: userKeys(row) + [groupKey(row)]
    case .orders: orderKeys(row)
    case .audit, .sessions: []
    }
  }

  /// Whether some rule can produce the key, or a message names it.
  static func isDerivable(_ key: String) -> Bool {
    ["user:", "mail:", "vip:", "regular:", "guest:", "name:", "edit:", "order[v1]:", "note:"].contains {
      key.hasPrefix($0)
    }
      || (key.hasPrefix("cart:{") && key.hasSuffix("}")) || key.hasSuffix(":bare")
  }

  /// Whether a flush of the rule has to delete the key.
  static func isFlushed(_ key: String, with rule: String) -> Bool {
    let prefixes =
      switch rule {
      case "users": ["user:", "mail:"]
      case "vips": ["vip:"]
      case "regulars": ["regular:"]
      case "guests": ["guest:"]
      case "names": ["name:"]
      case "edits": ["edit:"]
      case "orders", "baskets": ["order[v1]:", "cart:{"]
      case "messages": ["note:"]
      default: [String]()
      }
    return prefixes.contains { key.hasPrefix($0) }
  }

  private static func users(_ change: Change, _ keys: inout Keys) {
    for row in [change.old, change.new] {
      if let row { keys.required += userKeys(row) }
    }
    let groups: Set =
      change.mayMeetAll
      ? ["vip", "regular", "guest"] : Set([change.old, change.new].compactMap { $0.map(group) })
    let renamed = change.old?.texts[2] != change.new?.texts[2]
    // A move to another partition is told as a delete and an insert.
    let mayMove = change.old.map(Partition.init(of:)) != change.new.map(Partition.init(of:))
    for row in [change.old, change.new] {
      guard let row else { continue }
      keys.required.append(groupKey(row))
      // The `where` holds for the other image, or counts as met.
      keys.allowed += groups.subtracting([group(row)]).sorted().map { "\($0):\(row.id)" }
      // What its old image lacks reads as NULL.
      if change.isBare { keys.allowed.append("guest:\(row.id)") }
      // Of a partitioned table an insert or a delete may be half of an update.
      if change.kind == .update {
        keys.required.append("edit:\(row.id)")
      } else {
        keys.allowed.append("edit:\(row.id)")
      }
      if renamed {
        keys.required.append("name:\(row.id)")
      } else if mayMove {
        keys.allowed.append("name:\(row.id)")
      }
    }
  }

  private static func userKeys(_ row: Row) -> [String] {
    var keys = ["user:\(row.id)"]
    if let email = row.texts[1] { keys.append("mail:" + email.lowercased()) }
    return keys
  }

  /// Which of the three rules that test the column `vip` the row concerns.
  private static func group(_ row: Row) -> String {
    row.texts[3].map { $0 == "t" || $0 == "yes" ? "vip" : "regular" } ?? "guest"
  }

  private static func groupKey(_ row: Row) -> String { "\(group(row)):\(row.id)" }

  private static func orderKeys(_ row: Row) -> [String] {
    ["order[v1]:\(row.id)", "cart:{\(row.id)}"]
  }

  /// How long after it is visible a change's keys are deleted once more for the sake of plain SETs, in a world whose
  /// shortest `redelete_after` is `shortest`; 0 for never.
  static func redeleteDelay(of key: String, _ shortest: Int64) -> Int64 {
    if ["user:", "mail:", "note:"].contains(where: key.hasPrefix) { return shortest }
    if key.hasPrefix("order[v1]:") || key.hasPrefix("cart:") { return 2 * shortest }
    return 0
  }

  /// The lease key of contract 2.
  static func lease(_ key: String) -> String {
    if let open = key.firstIndex(of: "{"),
      let close = key[open...].firstIndex(of: "}"), key.index(after: open) < close
    {
      return "cdcd:l:" + key
    }
    return "cdcd:l:{" + key + "}"
  }

  /// The key a lease key belongs to; nil for any other key.
  static func leased(_ lease: String) -> String? {
    guard lease.hasPrefix("cdcd:l:") else { return nil }
    let rest = String(lease.dropFirst(7))
    if rest.hasPrefix("{"), rest.hasSuffix("}"), self.lease(String(rest.dropFirst().dropLast())) == lease {
      return String(rest.dropFirst().dropLast())
    }
    return rest
  }
}
