import Foundation
import Synchronization

/// Writers that change rows and readers that cache them under leases, on threads of their own, against servers that
/// come and go. What a row holds is a number that only grows, so a cached value that differs from the row is stale.
final class Load: Sendable {
  struct Counts: Equatable {
    var commits = 0
    var fills = 0
    var refusedFills = 0
    var hits = 0
    var errors = 0
  }

  /// Rows 1 to this one.
  let rows = 40
  private let postgres: PostgresServer
  private let redis: RedisServer
  private let state: Mutex<State>

  private struct State {
    var paused = true
    var stopped = false
    /// Threads that are inside of a step.
    var active = 0
    var counts = Counts()
  }

  init(postgres: PostgresServer, redis: RedisServer, writers: Int = 2, readers: Int = 3) throws {
    self.postgres = postgres
    self.redis = redis
    state = Mutex(State())
    try postgres.query(
      "INSERT INTO users SELECT n, 'mail-' || n, '0' FROM generate_series(1, \(rows)) n")
    for _ in 0..<writers { start { Writer(postgres) } }
    for _ in 0..<readers { start { Reader(postgres, redis) } }
  }

  deinit { state.withLock { $0.stopped = true } }

  var counts: Counts { state.withLock { $0.counts } }

  func resume() { state.withLock { $0.paused = false } }

  /// Comes back when no step is under way any more.
  func pause() throws {
    state.withLock { $0.paused = true }
    try eventually(within: .seconds(30), "the load has paused") { state.withLock { $0.active == 0 } }
  }

  /// Stops the threads.
  func stop() throws {
    try pause()
    state.withLock { $0.stopped = true }
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
    let rows = rows
    let thread = Thread { [weak self] in
      var worker = make()
      // The load is let go of between two steps, so that it can end.
      while let decision = self?.enter() {
        guard decision else {
          Thread.sleep(forTimeInterval: 0.005)
          continue
        }
        do {
          let counts = try worker.step(row: Int.random(in: 1...rows))
          self?.leave(counts)
        } catch {
          worker = make()
          self?.leave(Counts(errors: 1))
          Thread.sleep(forTimeInterval: 0.05)
        }
      }
    }
    thread.start()
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

  private func leave(_ counts: Counts) {
    state.withLock { state in
      state.active -= 1
      state.counts.commits += counts.commits
      state.counts.fills += counts.fills
      state.counts.refusedFills += counts.refusedFills
      state.counts.hits += counts.hits
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
  private var session: PostgresClient?

  init(_ postgres: PostgresServer) { self.postgres = postgres }

  mutating func step(row: Int) throws -> Load.Counts {
    let session = try session ?? postgres.session(timeout: .seconds(4))
    self.session = session
    let other = row % 7 + 1
    let update = "UPDATE users SET name = (name::bigint + 1)::text WHERE id"
    switch Int.random(in: 0..<10) {
    case 0:
      try session.rows("BEGIN; \(update) = \(row); ROLLBACK")
      return Load.Counts()
    case 1:
      try session.rows(
        "BEGIN; \(update) IN (SELECT id FROM users WHERE id % 7 + 1 = \(other) ORDER BY id); COMMIT")
    default:
      try session.rows("\(update) = \(row)")
    }
    return Load.Counts(commits: 1)
  }
}

private struct Reader: Worker {
  private let postgres: PostgresServer
  private let server: RedisServer
  private var session: PostgresClient?
  private var redis: RedisClient?

  init(_ postgres: PostgresServer, _ redis: RedisServer) {
    self.postgres = postgres
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
      let session = try session ?? postgres.session(timeout: .seconds(4))
      self.session = session
      // A statement of its own: its snapshot is taken after the lease was granted.
      let value = try session.value("SELECT name FROM users WHERE id = \(row)")
      if Bool.random() { Thread.sleep(forTimeInterval: Double.random(in: 0...0.004)) }
      let accepted = try Lease.fill(key, token: token, value: value, into: redis)
      return accepted ? Load.Counts(fills: 1) : Load.Counts(refusedFills: 1)
    }
  }
}
