/// The oldest transaction that is still running: what a flush waits for at its barrier, or a slot that is being made.
package struct BlockingTransaction: Sendable, Equatable {
  package enum Holder: Sendable, Equatable {
    /// A server process. State and application are nil where the role may not see them (it needs `pg_read_all_stats`).
    case process(pid: Int32, state: String?, application: String?)
    /// A prepared transaction, which nobody holds until it is committed or rolled back by its name.
    case prepared(gid: String)
  }

  package var xid: UInt32
  package var holder: Holder
  /// Since when it runs; nil where the role may not see it.
  package var seconds: Int64?

  package init(xid: UInt32, holder: Holder, seconds: Int64?) {
    self.xid = xid
    self.holder = holder
    self.seconds = seconds
  }

  /// `process 4711 (idle in transaction, psql), its transaction 812 is 35 s old`.
  package var description: String {
    let age =
      seconds.map { "is \($0) s old" } ?? "is of unknown age (cdcd's role needs pg_read_all_stats to see it)"
    switch holder {
    case .process(let pid, let state, let application):
      let known = [state, application].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ", ")
      return "process \(pid)" + (known.isEmpty ? "" : " (\(known))") + ", its transaction \(xid) \(age)"
    case .prepared(let gid): return "the prepared transaction '\(gid)', which \(age)"
    }
  }
}
