import Invalidation

/// The applications that write to the database, and the current rows.
final class Workload {
  private final class Transaction {
    let xid: UInt64
    let firstLSN: UInt64
    let changes: [Change]
    init(xid: UInt64, firstLSN: UInt64, changes: [Change]) {
      self.xid = xid
      self.firstLSN = firstLSN
      self.changes = changes
    }
  }

  unowned let world: World
  private var random: Randomness
  /// Of messages, apart from the rest.
  private var messages: Randomness
  private var rows: [[Int: Row]] = Table.allCases.map { _ in [:] }
  /// Ids of each table in order of insertion, since dictionaries have no order to rely on.
  private var ids: [[Int]] = Table.allCases.map { _ in [] }
  /// Rows and tables that a transaction has locked until it has ended for everybody.
  private var locks: [[Int: UInt64]] = Table.allCases.map { _ in [:] }
  private var tableLocks: [UInt64?] = Table.allCases.map { _ in nil }
  private var open: [Transaction] = []
  private var nextBulkId = 1_000
  private(set) var isOver = false
  /// Makes the next transaction stay invisible for this long.
  var stuckFor: Int64?
  /// Nobody begins a transaction.
  var isPaused = false
  /// The next transaction truncates these.
  var tablesToTruncate: [Table] = []
  /// How the users' `vip` prints, for a row that has one.
  private var printed = (yes: "t", no: "f")
  private(set) var committedCount = 0

  init(world: World) {
    self.world = world
    self.random = world.random.split()
    self.messages = Randomness(seed: world.seed ^ 0x4E07_E5)
    for table in Table.allCases {
      for id in 1...world.options.rowCount where random.chance(700) { apply(insertion(table, id)) }
    }
  }

  func start() { scheduleNext() }
  func end() { isOver = true }

  private func scheduleNext() {
    let byChance =
      random.chance(600)
      ? random.between(200_000, 20 * Time.millisecond)
      : random.between(20 * Time.millisecond, world.options.writePause)
    let pause = world.options.steadyPause > 0 ? world.options.steadyPause : byChance
    world.after(pause) { [self] in
      guard !isOver else { return }
      if !isPaused, world.postgres.isServing, world.postgres.frozenUntil <= world.now { begin() }
      scheduleNext()
    }
  }

  // MARK: A transaction

  private func begin() {
    let changes = naming(compose()).map { change in
      var change = change
      change.mayMeetAll = world.options.alterPerMille > 0
      return change
    }
    guard !changes.isEmpty || random.chance(100) else { return }
    let postgres = world.postgres
    let xid = postgres.assignXid()
    for _ in 0..<(random.chance(100) ? random.below(4) : 0) { postgres.burnXid() }
    lock(changes, xid)
    let firstLSN = postgres.writeWAL(60 + Int64(changes.count) * 80)
    let transaction = Transaction(xid: xid, firstLSN: firstLSN, changes: changes)
    open.append(transaction)
    let duration =
      random.chance(850) ? random.between(10_000, 3_000_000) : random.between(3_000_000, 500_000_000)
    let incarnation = postgres.incarnation
    world.after(duration) { [self] in
      guard postgres.incarnation == incarnation, open.contains(where: { $0.xid == xid }) else { return }
      if postgres.frozenUntil > world.now {
        world.scheduler.at(postgres.frozenUntil) { [self] in
          guard postgres.incarnation == incarnation, open.contains(where: { $0.xid == xid }) else { return }
          finish(transaction)
        }
      } else {
        finish(transaction)
      }
    }
  }

  private func finish(_ transaction: Transaction) {
    open.removeAll { $0 === transaction }
    let postgres = world.postgres
    let isRuled = transaction.changes.contains {
      $0.table == .users || $0.table == .orders || $0.kind == .message
    }
    let changes = transaction.changes
    let isTold = world.options.isStory && changes.contains { $0.kind == .truncate }
    let aborts = random.chance(100) && stuckFor == nil && !isTold
    if aborts {
      postgres.writeAbort(xid: transaction.xid)
      world.trace { "postgres: xid \(transaction.xid) aborts" }
    } else {
      let commit = postgres.writeCommit(
        xid: transaction.xid, firstLSN: transaction.firstLSN, changes: truncating(changes))
      for change in commit.changes { apply(change) }
      if world.options.plantedRows > 0 { plant(commit) }
      committedCount += 1
      world.trace { "postgres: xid \(transaction.xid) commits at \(LSN(commit.endLSN)): \(describe(commit))" }
      world.remember(commit)
    }
    let incarnation = postgres.incarnation
    world.after(visibilityDelay(isRuled)) { [self] in
      guard postgres.incarnation == incarnation else { return }
      postgres.leaveProcArray(xid: transaction.xid)
      unlock(transaction.xid)
    }
  }

  private func describe(_ commit: Commit) -> String {
    commit.required.prefix(6).joined(separator: " ")
      + (commit.changes.contains { $0.kind == .truncate } ? " TRUNCATE" : "")
      + (commit.changes.contains { $0.kind == .alter } ? " ALTER" : "")
      + (commit.required.count > 6 ? " ... (\(commit.required.count))" : "")
  }

  /// How long after its commit record a transaction stays in the proc array.
  private func visibilityDelay(_ isRuled: Bool) -> Int64 {
    if isRuled, let stuck = stuckFor {
      stuckFor = nil
      world.trace { "postgres: the next one waits for its standby for \(stuck / Time.millisecond) ms" }
      return stuck
    }
    let roll = random.below(1_000)
    if roll < world.options.promptVisibility { return random.between(0, 100_000) }
    if roll < 985 { return random.between(100_000, 50 * Time.millisecond) }
    if roll < 998 { return random.between(50 * Time.millisecond, 2 * Time.second) }
    return random.between(2 * Time.second, 12 * Time.second)
  }

  /// The server ended the transaction without a commit record.
  func forget(_ xid: UInt64) { open.removeAll { $0.xid == xid } }

  func releaseAllLocks() {
    locks = Table.allCases.map { _ in [:] }
    tableLocks = Table.allCases.map { _ in nil }
  }

  // MARK: Rows

  private func compose() -> [Change] {
    if !tablesToTruncate.isEmpty { return truncateAsTold() }
    if world.options.alterPerMille > 0, random.chance(world.options.alterPerMille) { return alter() }
    if random.chance(world.options.bulkPerMille) { return bulk() }
    if random.chance(world.options.truncatePerMille) { return truncate() }
    var changes: [Change] = []
    var touched: [[Int]] = Table.allCases.map { _ in [] }
    for _ in 0..<(1 + random.below(random.chance(100) ? 12 : 3)) {
      let table = random.pick([Table.users, .users, .users, .orders, .orders, .audit, .sessions])
      guard tableLocks[table.rawValue] == nil else { continue }
      let id = 1 + random.below(world.options.rowCount)
      guard let change = change(table, id, touched[table.rawValue]) else { continue }
      touched[table.rawValue] += [change.old?.id, change.new?.id].compactMap { $0 }
      changes.append(change)
    }
    // A savepoint rollback: work that leaves nothing but a burnt xid, which `begin` adds.
    if changes.count > 1, random.chance(50) { changes.removeLast() }
    return changes
  }

  /// With a message of the application now and then, among its rows or alone.
  private func naming(_ changes: [Change]) -> [Change] {
    guard world.options.messagePerMille > 0, messages.chance(world.options.messagePerMille) else {
      return changes
    }
    var changes = changes
    for _ in 0..<(1 + messages.below(2)) {
      // Its table is that of no rule.
      var change = Change(kind: .message, table: .audit)
      let first = messages.below(world.options.rowCount)
      for number in 0..<min(1 + messages.below(3), world.options.rowCount) {
        change.keys.append("note:\(1 + (first + number) % world.options.rowCount)")
      }
      changes.insert(change, at: messages.below(changes.count + 1))
    }
    return changes
  }

  private func change(_ table: Table, _ id: Int, _ touched: [Int]) -> Change? {
    func isFree(_ id: Int) -> Bool { locks[table.rawValue][id] == nil && !touched.contains(id) }
    guard isFree(id) else { return nil }
    guard let old = rows[table.rawValue][id] else { return insertion(table, id) }
    let roll = random.below(100)
    if roll < world.options.deletePercent { return Change(kind: .delete, table: table, old: old) }
    var new = row(table, id)
    if table == .users, random.chance(400) { new.texts[2] = old.texts[2] }
    if roll < 25 {
      let other = 1 + random.below(world.options.rowCount)
      if other != id, isFree(other), rows[table.rawValue][other] == nil {
        new.id = other
        new.texts[0] = String(other)
      }
    }
    var change = Change(kind: .update, table: table, old: old, new: new)
    if table == .orders, random.chance(500) {
      change.toastUnchanged = true
      change.new?.texts[2] = old.texts[2]
    }
    return change
  }

  /// Whoever has not started yet has its rules compared with what is printed then.
  private var mayRetype: Bool { world.options.retypes && world.instances.allSatisfy(\.hasStreamed) }

  private func insertion(_ table: Table, _ id: Int) -> Change {
    Change(kind: .insert, table: table, new: row(table, id))
  }

  private func row(_ table: Table, _ id: Int) -> Row {
    var texts: [String?] = [String(id)]
    switch table {
    case .users:
      let email =
        random.chance(150) ? nil : random.pick(["Ann@x.org", "ann@X.org", "bob@x.org", "Zoë@x.org", ""])
      texts += [
        email.map { $0 + String(repeating: "x", count: world.options.emailPadding) },
        random.pick(["Ann", "Bob", "Cy"]), random.pick([printed.yes, printed.no, nil]),
      ]
    case .orders: texts += [String(random.below(100)), random.pick(["short", "long long long"])]
    case .audit: texts += ["seen"]
    case .sessions: break
    }
    return Row(id: id, texts: texts)
  }

  private func bulk() -> [Change] {
    guard tableLocks[Table.orders.rawValue] == nil else { return [] }
    let count = random.pick([50, 600, world.options.bulkRows])
    world.trace { "a transaction of \(count) rows" }
    return (0..<count).map { _ in
      nextBulkId += 1
      return insertion(.orders, nextBulkId)
    }
  }

  private func truncateAsTold() -> [Change] {
    let changes = truncation(of: tablesToTruncate)
    if !changes.isEmpty { tablesToTruncate = [] }
    return changes
  }

  private func truncate() -> [Change] {
    var changes = truncation(
      of: random.chance(300) ? [.users, .orders] : [random.pick([.users, .orders, .audit])])
    if world.options.partitioned, changes.first?.tables == [.users], random.chance(500) {
      changes[0].partition = random.pick(Partition.allCases)
    }
    return changes
  }

  /// Needs the same lock as a TRUNCATE; the rows stay, and are others to every reader.
  private func alter() -> [Change] {
    truncation(of: [random.pick([.users, .orders])]).map { change in
      var change = change
      change.kind = .alter
      change.isRetype = change.table == .users && mayRetype
      return change
    }
  }

  private func truncation(of tables: [Table]) -> [Change] {
    for table in tables {
      guard tableLocks[table.rawValue] == nil, locks[table.rawValue].isEmpty else { return [] }
    }
    var change = Change(kind: .truncate, table: tables[0])
    change.tables = tables
    return [change]
  }

  /// Fills in which rows a TRUNCATE takes: those there are at its commit.
  private func truncating(_ changes: [Change]) -> [Change] {
    changes.map { change in
      guard change.kind == .truncate || change.kind == .alter else { return change }
      var change = change
      for table in change.tables {
        for id in ids[table.rawValue] {
          guard let row = rows[table.rawValue][id] else { continue }
          if change.concerns(row) { change.truncated.append((table, row)) }
        }
      }
      return change
    }
  }

  /// Values of more rows that a TRUNCATE took, cached in time: the flush has pages of them to find.
  private func plant(_ commit: Commit) {
    guard world.redis.isUp else { return }
    for table in commit.changes.filter({ $0.kind == .truncate }).flatMap(\.tables) {
      for id in 20_000..<20_000 + world.options.plantedRows {
        for key in KeyMapping.truncatedKeys(table, Row(id: id, texts: [String(id), nil, nil, "f"])) {
          let place = random.below(1 + world.redis.data.order.count)
          world.redis.data.set(key, .cached(Snapshot(tick: world.nextTick())), from: place)
          commit.truncated.append(key)
        }
      }
    }
  }

  private func apply(_ change: Change) {
    if change.isRetype { retype() }
    guard change.kind != .alter else { return }
    for table in change.tables {
      rows[table.rawValue] = rows[table.rawValue].filter { !change.concerns($0.value) }
      ids[table.rawValue].removeAll { rows[table.rawValue][$0] == nil }
    }
    guard change.kind != .truncate else { return }
    let table = change.table.rawValue
    if let old = change.old { rows[table][old.id] = nil }
    if let new = change.new {
      if change.old?.id != new.id, !(new.id <= world.options.rowCount && ids[table].contains(new.id)) {
        ids[table].append(new.id)
      }
      rows[table][new.id] = new
    }
  }

  private func retype() {
    let (old, new) = (printed, printed.yes == "t" ? (yes: "yes", no: "no") : (yes: "t", no: "f"))
    printed = new
    for (id, row) in rows[Table.users.rawValue] {
      rows[Table.users.rawValue][id]?.texts[3] = row.texts[3].map { $0 == old.yes ? new.yes : new.no }
    }
  }

  private func lock(_ changes: [Change], _ xid: UInt64) {
    for change in changes {
      for table in change.tables { tableLocks[table.rawValue] = xid }
      for row in [change.old, change.new] {
        if let row { locks[change.table.rawValue][row.id] = xid }
      }
    }
  }

  private func unlock(_ xid: UInt64) {
    for table in Table.allCases {
      locks[table.rawValue] = locks[table.rawValue].filter { $0.value != xid }
      if tableLocks[table.rawValue] == xid { tableLocks[table.rawValue] = nil }
    }
  }

  /// The keys readers ask for.
  func readableKeys() -> [String] {
    var keys = ["mail:ann@x.org", "mail:bob@x.org", "mail:zoë@x.org"]
    for id in 1...world.options.rowCount {
      keys += ["user", "vip", "regular", "guest", "name", "edit", "order[v1]"].map { "\($0):\(id)" }
      keys.append("cart:{\(id)}")
      if world.options.messagePerMille > 0 { keys.append("note:\(id)") }
    }
    return keys
  }
}
