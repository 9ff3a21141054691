import Daemon
import Foundation
import Glibc

/// How far a command is, on standard error: one line that is redrawn on a terminal, else a line every few seconds.
final class ProgressDisplay {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let interval: Duration
  /// What is over in an instant needs no line in a log.
  private var shownAt = ContinuousClock.now
  private var waitsFor: String?

  init() { interval = isTerminal ? .milliseconds(100) : .seconds(5) }

  /// `bar` makes the line for a terminal of so many columns.
  func show(_ line: @autoclosure () -> String, bar: (_ columns: Int) -> String) {
    waitsFor = nil
    guard isDue else { return }
    if isTerminal { draw(bar(columns)) } else { Output.error(line()) }
  }

  /// Something else to be waited for is told at once, and from then on how far it is.
  func show(waitingFor what: String, _ state: String) {
    guard isDue || what != waitsFor else { return }
    waitsFor = what
    shownAt = .now
    let text = "Waiting for \(what)" + (state.isEmpty ? "" : ": \(state)")
    if isTerminal { draw(String(text.prefix(max(0, columns - 1)))) } else { Output.error(text) }
  }

  /// Once in each interval.
  private var isDue: Bool {
    guard shownAt.duration(to: .now) >= interval else { return false }
    shownAt = .now
    return true
  }

  /// A line that stays.
  func tell(_ text: String) {
    clear()
    Output.error(text)
  }

  /// Leaves the terminal's line empty.
  func clear() {
    if isTerminal { StandardError.write("\r\u{1B}[K") }
  }

  /// Source: ECMA-48, "erase in line".
  private func draw(_ text: String) { StandardError.write("\r\(text)\u{1B}[K") }

  private var columns: Int {
    var size = winsize()
    guard unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
