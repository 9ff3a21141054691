import Foundation
import Invalidation
import Synchronization

/// Writers that change rows and readers that cache them under leases, on threads of their own, against servers that
/// come and go. What a row holds is a number that only grows, so a cached value that differs from the row is stale.
final class Load: Sendable {
  struct Counts: Equatable {
    var commits = 0
    var fills = 0
    var refusedFills = 0
    var hits = 0
    var audits = 0
    var errors = 0
  }

  /// Rows 1 to this one.
  let rows = 100
  private let postgres: PostgresServer
  private let redis: RedisServer
  private let history: CommitHistory
  private let state: Mutex<State>

  private struct State {
    var paused = true
    var stopped = false
    var threads = 0
    /// Threads that are inside of a step.
    var active = 0
    var counts = Counts()
    /// Values that a reader could see and the promise rules out, as sentences.
    var violations: [String] = []
  }

  /// Readers query the primary and `standbys` by turns of chance.
  init(
    postgres: PostgresServer, redis: RedisServer, standbys: [PostgresServer] = [], writers: Int = 2,
    readers: Int = 3
  ) throws {
    self.postgres = postgres
    self.redis = redis
    state = Mutex(State())
    history = CommitHistory()
    try postgres.query(
      "INSERT INTO users SELECT n, 'mail-' || n, '0' FROM generate_series(1, \(rows)) n")
    for _ in 0..<writers { start { [history] in Writer(postgres, history) } }
    for _ in 0..<readers { start { Reader([postgres] + standbys, redis) } }
  }

  var counts: Counts { state.withLock { $0.counts } }
  var violations: [String] { state.withLock { $0.violations } }

  /// Checks the promise while the load runs: once a commit is settled, no read returns a value from before it.
  /// Only where Redis keeps its history: between a loss and its detection the promise says nothing.
  func startAuditor(settled: @escaping @Sendable () throws -> LSN) {
    start { [redis, history] in Auditor(redis, history, settled) }
  }

  func resume() { state.withLock { $0.paused = false } }

  /// Comes back when no step is under way any more.
  func pause() throws {
    state.withLock { $0.paused = true }
    try eventually(within: .seconds(30), "the load has paused") { state.withLock { $0.active == 0 } }
  }

  /// Ends the threads and waits for them: they hold the servers.
  func stop() throws {
    state.withLock { $0.stopped = true }
    try eventually(within: .seconds(30), "the load has ended") { state.withLock { $0.threads == 0 } }
  }

  /// What Redis holds and PostgreSQL does not, as sentences. Only while paused and settled.
  func staleValues() throws -> [String] {
    let redis = try redis.client()
    return try postgres.query("SELECT id, name FROM users ORDER BY id").compactMap { row in
      guard let id = row[0], let name = row[1], let cached = try redis.get("user:\(id)"), cached != name
      else {
        return nil
      }
      return "user:\(id) is cached as \(cached), but is \(name)"
    }
  }

  private func start(_ make: @escaping @Sendable () -> any Worker) {
    state.withLock { $0.threads += 1 }
    let thread = Thread { [self] in
      run(make)
      state.withLock { $0.threads -= 1 }
    }
    thread.start()
  }

  private func run(_ make: () -> any Worker) {
    var worker = make()
    while let mayStep = enter() {
      guard mayStep else {
        Thread.sleep(forTimeInterval: 0.005)
        continue
      }
      do {
        leave(try worker.step(row: Int.random(in: 1...rows)))
      } catch let violation as Violation {
        report(violation)
      } catch {
        worker = make()
        leave(Counts(errors: 1))
        Thread.sleep(forTimeInterval: 0.05)
      }
    }
  }

  /// Whether the thread may do a step; nil when it is to end.
  private func enter() -> Bool? {
    state.withLock { state in
      if state.stopped { return nil }
      if state.paused { return false }
      state.active += 1
      return true
    }
  }

  private func report(_ violation: Violation) {
    state.withLock { $0.violations.append(violation.description) }
    leave(Counts(audits: 1))
  }

  private func leave(_ counts: Counts) {
    state.withLock { state in
      state.active -= 1
      state.counts.commits += counts.commits
      state.counts.fills += counts.fills
      state.counts.refusedFills += counts.refusedFills
      state.counts.hits += counts.hits
      state.counts.audits += counts.audits
      state.counts.errors += counts.errors
    }
  }
}

/// What one thread does over and over. After an error it is made anew.
private protocol Worker {
  mutating func step(row: Int) throws -> Load.Counts
}

private struct Writer: Worker {
  private let postgres: PostgresServer
  private let history: CommitHistory
  private var session: PostgresClient?

  init(_ postgres: PostgresServer, _ history: CommitHistory) {
    self.postgres = postgres
    self.history = history
  }

  mutating func step(row: Int) throws -> Load.Counts {
    let session = try session ?? postgres.session(timeout: .seconds(4))
    self.session = session
    let update = "UPDATE users SET name = (name::bigint + 1)::text"
    let changed: [[String?]]
    switch Int.random(in: 0..<10) {
    case 0:
      try session.rows("BEGIN; \(update) WHERE id = \(row); ROLLBACK")
      return Load.Counts()
    case 1:
      // Locks in order, so that two writers do not deadlock.
      changed = try session.rows(
        """
        WITH locked AS (SELECT id FROM users WHERE id % 7 = \(row % 7) ORDER BY id FOR UPDATE)
        \(update) WHERE id IN (SELECT id FROM locked) RETURNING id, name
        """)
    default:
      changed = try session.rows("\(update) WHERE id = \(row) RETURNING id, name")
    }
    let position = try session.value("SELECT pg_current_wal_insert_lsn()")
    history.record(changed, before: LSN(position) ?? LSN(.max))
    // A row is left alone for a while, so that a stale value has the time to be seen.
    Thread.sleep(forTimeInterval: Double.random(in: 0...0.004))
    return Load.Counts(commits: 1)
  }
}

private struct Reader: Worker {
  private let databases: [PostgresServer]
  private let server: RedisServer
  private var sessions: [Int: PostgresClient] = [:]
  private var redis: RedisClient?

  init(_ databases: [PostgresServer], _ redis: RedisServer) {
    self.databases = databases
    server = redis
  }

  mutating func step(row: Int) throws -> Load.Counts {
    let redis = try redis ?? server.client(timeout: .seconds(4))
    self.redis = redis
    let key = "user:\(row)"
    let token = UUID().uuidString
    switch try Lease.get(key, token: token, from: redis) {
    case .hit: return Load.Counts(hits: 1)
    case .wait: return Load.Counts()
    case .granted:
      let database = Int.random(in: databases.indices)
      let session = try sessions[database] ?? databases[database].session(timeout: .seconds(4))
      sessions[database] = session
      // A statement of its own: its snapshot is taken after the lease was granted.
      let value = try session.value("SELECT name FROM users WHERE id = \(row)")
      if Bool.random() { Thread.sleep(forTimeInterval: Double.random(in: 0...0.004)) }
      let accepted = try Lease.fill(key, token: token, value: value, into: redis)
      return accepted ? Load.Counts(fills: 1) : Load.Counts(refusedFills: 1)
    }
  }
}

/// What the writers know to be committed: for each row its versions, and a position that each of them precedes.
private final class CommitHistory: Sendable {
  private let versions = Mutex<[Int: [(version: Int, before: LSN)]]>([:])

  func record(_ rows: [[String?]], before position: LSN) {
    versions.withLock { versions in
      for row in rows {
        guard let id = row[0].flatMap({ Int($0) }), let version = row[1].flatMap({ Int($0) }) else {
          continue
        }
        versions[id, default: []].append((version, position))
      }
    }
  }

  /// For each row the newest version that was committed before the position.
  func versions(at position: LSN) -> [Int: Int] {
    versions.withLock { versions in
      versions.compactMapValues { $0.last { $0.before <= position }?.version }
    }
  }
}

private struct Violation: Error, CustomStringConvertible {
  var description: String
}

private struct Auditor: Worker {
  private let server: RedisServer
  private let history: CommitHistory
  private let settled: @Sendable () throws -> LSN
  private var redis: RedisClient?

  init(_ redis: RedisServer, _ history: CommitHistory, _ settled: @escaping @Sendable () throws -> LSN) {
    server = redis
    self.history = history
    self.settled = settled
  }

  mutating func step(row: Int) throws -> Load.Counts {
    let redis = try redis ?? server.client(timeout: .seconds(4))
    self.redis = redis
    let position = try settled()
    let owed = history.versions(at: position)
    guard case .array(let values) = try redis.run(["MGET"] + owed.keys.map { "user:\($0)" }) else {
      return Load.Counts()
    }
    for ((row, version), value) in zip(owed, values) {
      if let cached = value.text.flatMap({ Int($0) }), cached < version {
        throw Violation(
          description: "user:\(row) was read as \(cached), although \(version) was settled by \(position)")
      }
    }
    return Load.Counts(audits: 1)
  }
}
