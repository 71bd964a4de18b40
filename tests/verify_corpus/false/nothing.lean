-- statement_changed aspect=missing declaration=goal
prelude
import LeanWorker.Library
