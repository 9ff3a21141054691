import Foundation
import Synchronization

/// A process that a test started. It ends with this object, and with the test run however that ends: the kernel
/// sends it a signal when its parent dies (PR_SET_PDEATHSIG).
final class ServerProcess: Sendable {
  let pid: pid_t
  /// Where its output goes.
  let log: String
  private let exit: ExitStatus

  /// `deathSignal` is what the kernel sends when the test run dies; `user` is who runs it, where that is not
  /// whoever runs the tests.
  init(
    _ command: [String], log: String, deathSignal: String = "KILL", user: String? = nil,
    environment: [String: String] = [:]
  ) throws {
    var wrapped = ["/usr/bin/setpriv", "--pdeathsig", deathSignal]
    if let user { wrapped += ["--reuid", user, "--regid", user, "--init-groups"] }
    let exit = ExitStatus()
    self.exit = exit
    self.log = log
    pid = try Launcher.shared.launch(
      wrapped + ["--"] + command, log: log, environment: environment, exit: exit)
  }

  deinit {
    guard isRunning else { return }
    signal(SIGCONT)
    signal(SIGKILL)
    _ = exit.wait(.seconds(5))
  }

  var isRunning: Bool { exit.status == nil }

  /// What it printed so far.
  var output: String {
    get throws { try String(decoding: Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self) }
  }

  func signal(_ number: Int32) {
    if isRunning { _ = kill(pid, number) }
  }

  /// Waits until it has ended: its exit status, or the negative number of the signal that ended it.
  func waitForExit(within limit: Duration = .seconds(20)) throws -> Int32 {
    if let status = exit.wait(limit) { return status }
    throw TimedOut(
      description:
        "process \(pid) did not end within \(limit), its threads are \(threadStates); its output: \(try output)"
    )
  }

  /// What each of its threads does, as the kernel tells.
  private var threadStates: String {
    let folder = "/proc/\(pid)/task"
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let states = threads.sorted().map { thread in
      let stat = (try? String(contentsOfFile: "\(folder)/\(thread)/stat", encoding: .utf8)) ?? "?"
      let waits = (try? String(contentsOfFile: "\(folder)/\(thread)/wchan", encoding: .utf8)) ?? "?"
      return "\(thread) \(stat.split(separator: ")").last?.prefix(2) ?? "?") \(waits)"
    }
    return states.isEmpty ? "gone" : states.joined(separator: ", ")
  }

  /// The processes it has started and that still run.
  var children: [pid_t] {
    get throws {
      let folders = try FileManager.default.contentsOfDirectory(atPath: "/proc")
      return folders.compactMap(pid_t.init).filter { Self.parent(of: $0) == pid }
    }
  }

  private static func parent(of pid: pid_t) -> pid_t? {
    // The name in parentheses may hold anything; state and parent follow the last one. The file is gone when the
    // process has just ended, and then it has no parent.
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
      let name = stat.lastIndex(of: ")")
    else { return nil }
    let fields = stat[stat.index(after: name)...].split(separator: " ")
    return fields.count > 1 ? pid_t(fields[1]) : nil
  }
}

/// Runs a command to its end.
struct CommandResult {
  var status: Int32
  var output: String

  @discardableResult
  static func of(
    _ command: [String], in folder: TemporaryFolder, environment: [String: String] = [:],
    within limit: Duration = .seconds(60)
  ) throws -> CommandResult {
    let log = folder.file("command-\(UUID().uuidString.prefix(8)).log")
    let process = try ServerProcess(command, log: log, environment: environment)
    let status = try process.waitForExit(within: limit)
    return try CommandResult(status: status, output: process.output)
  }
}

/// How a process ended, for whoever waits.
private final class ExitStatus: Sendable {
  private let value = Mutex<Int32?>(nil)
  private let ended = DispatchSemaphore(value: 0)

  var status: Int32? { value.withLock { $0 } }

  func set(_ status: Int32) {
    value.withLock { $0 = status }
    ended.signal()
  }

  func wait(_ limit: Duration) -> Int32? {
    if let status { return status }
    if ended.wait(timeout: .now() + limit.timeInterval) == .success { ended.signal() }
    return status
  }
}

/// Starts every process from one thread that lives as long as the test run: the kernel takes the death of the
/// *thread* that forked for the death of the parent, and threads of the concurrency runtime come and go.
private final class Launcher: Sendable {
  static let shared = Launcher()

  private let requests = Mutex<[@Sendable () -> Void]>([])
  private let waiting = DispatchSemaphore(value: 0)

  private init() {
    let thread = Thread { [self] in
      // Threads of Dispatch, one of which started this one, block signals, and a process inherits that.
      var none = sigset_t()
      _ = unsafe sigemptyset(&none)
      _ = unsafe pthread_sigmask(SIG_SETMASK, &none, nil)
      while true {
        waiting.wait()
        let request = requests.withLock { $0.removeFirst() }
        request()
      }
    }
    thread.start()
  }

  func launch(
    _ command: [String], log: String, environment: [String: String], exit: ExitStatus
  ) throws -> pid_t {
    let answer = Mutex<Result<pid_t, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    requests.withLock { requests in
      requests.append {
        let result = Result { try Self.start(command, log: log, environment: environment, exit: exit) }
        answer.withLock { $0 = result }
        done.signal()
      }
    }
    waiting.signal()
    done.wait()
    guard let result = answer.withLock({ $0 }) else {
      throw TimedOut(description: "no answer of the launcher")
    }
    return try result.get()
  }

  private static func start(
    _ command: [String], log: String, environment: [String: String], exit: ExitStatus
  ) throws -> pid_t {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.currentDirectoryURL = URL(fileURLWithPath: "/")
    if !FileManager.default.fileExists(atPath: log) { try Data().write(to: URL(fileURLWithPath: log)) }
    let output = try FileHandle(forUpdating: URL(fileURLWithPath: log))
    try output.seekToEnd()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    process.terminationHandler = { process in
      let status = process.terminationStatus
      exit.set(process.terminationReason == .uncaughtSignal ? -status : status)
    }
    try process.run()
    return process.processIdentifier
  }
}

extension Duration {
  /// Seconds, for Foundation.
  var timeInterval: TimeInterval {
    TimeInterval(components.seconds) + TimeInterval(components.attoseconds) / 1e18
  }
}
