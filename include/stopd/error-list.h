/* error-list.h - every error there is: the HTTP answer, the exit code, the manual and a test read it
 *
 * ERROR(name, errno, HTTP status, exit status of stopctl, Code, Message). The Message is what the
 * cloud's API reference says, or "" where only the occasion knows the sentence. */

/* The caller */
ERROR(REQUEST_TOO_LARGE,      EMSGSIZE,  413, 64, "RequestTooLarge",     "The request body is larger than 64 KiB.")
ERROR(HEADER_TOO_LARGE,       EMSGSIZE,  431, 64, "RequestTooLarge",     "The request header is larger than 16 KiB.")
ERROR(METHOD,                 EINVAL,    405, 64, "InvalidMethod",       "The HTTP method is not supported here.")
ERROR(FORBIDDEN,              EACCES,    403, 77, "Forbidden",           "The caller is not permitted to do this.")
ERROR(THROTTLED,              EBUSY,     429, 75, "Throttling.User",     "Request was denied due to user flow control.")
ERROR(ACTION_NOT_FOUND,       ENOENT,    404, 64, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")
ERROR(MISSING_PARAMETER,      EINVAL,    400, 64, "MissingParameter",    "The input parameter InstanceId that is mandatory for processing this request is not supplied.")
ERROR(INVALID_PARAMETER,      EINVAL,    400, 64, "InvalidParameter",    "")
ERROR(TOO_OLD,                ETIME,     400, 76, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
ERROR(TOKEN_MISMATCH,         EINVAL,    400, 76, "IdempotentParameterMismatch", "The request is retried with updated parameters.")

/* Ourselves */
ERROR(UNAVAILABLE,            EAGAIN,    503, 75, "ServiceUnavailable",  "")
ERROR(INTERNAL,               EIO,       500, 75, "InternalError",       "The outcome is not known; ask again with the same ClientToken.")
ERROR(NO_MEMORY,              ENOMEM,    503, 75, "ServiceUnavailable",  "out of memory")

/* The instance */
ERROR(INSTANCE_NOT_FOUND,     ENOENT,    404, 66, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.")
ERROR(OPERATION_NOT_FOUND,    ENOENT,    404, 66, "InvalidRequestId.NotFound",  "The specified RequestId does not exist.")
ERROR(SINK_NOT_FOUND,         ENOENT,    404, 66, "InvalidSink.NotFound",  "The specified sink does not exist.")
ERROR(DEAD_LETTER_NOT_FOUND,  ENOENT,    404, 66, "InvalidSequence.NotFound", "The specified sink has no dead letter with this sequence.")
ERROR(CONFLICT,               EEXIST,    409, 76, "OperationConflict",   "")
ERROR(LOCKED_FOR_SECURITY,    EPERM,     403, 76, "InstanceLockedForSecurity", "The specified operation is denied as your instance is locked for security reasons.")
ERROR(EXPIRED_OR_IN_ARREARS,  EPERM,     403, 76, "InstanceExpiredOrInArrears", "The specified operation is denied as your prepay instance is expired (prepay mode) or in arrears (afterpay mode).")
ERROR(CLASSIC_NETWORK,        ENOTSUP,   403, 76, "InvalidInstanceId.NotSupport", "Classic network Instance does not support this operation.")
ERROR(PREPAID,                ENOTSUP,   403, 76, "InvalidInstanceId.NotSupport", "Pre pay instance does not support this operation.")
ERROR(HAS_LOCAL_DISKS,        ENOTSUP,   403, 76, "InvalidInstanceId.NotSupport", "Local disk instance does not support this operation.")
ERROR(SPOT,                   ENOTSUP,   403, 76, "InvalidInstanceId.NotSupport", "Spot instance does not support this operation.")
ERROR(HIBERNATION,            ENOTSUP,   403, 76, "HibernationConfigured.NotEnabled", "Hibernation is not supported for the specified instance.")
ERROR(CONFIRM_STOP,           EPERM,     403, 76, "InstanceType.ParameterMismatch", "The input parameter ConfirmStop must be true when an instance have localstorage.")
ERROR(DISK_STATUS,            ENOTSUP,   403, 76, "IncorrectDiskStatus", "")
ERROR(INSTANCE_STATUS,        EPERM,     403, 76, "IncorrectInstanceStatus", "The current status of the resource does not support this operation.")
ERROR(DRY_RUN,                ECANCELED, 400,  0, "DryRunOperation",     "Request validation has been passed with DryRun flag set.")

/* How a stop that was accepted can fail: an operation's error, never an HTTP answer's */
ERROR(GRACE_OVER,             ETIMEDOUT, 500, 70, "GracePeriodOver",     "The guest did not shut down within its grace period, and nobody consented to a power cut.")
ERROR(BUTTON_REFUSED,         EBUSY,     500, 70, "PowerButtonRefused",  "The hypervisor did not take the power button.")
ERROR(CANCELLED,              ECANCELED, 500, 70, "Cancelled",           "The stop was cancelled.")
ERROR(SAVED,                  ENOTSUP,   500, 70, "InstanceSaved",       "The domain was saved, not stopped.")
ERROR(MIGRATED,               ENOTSUP,   500, 70, "InstanceMigrated",    "The domain was migrated away, not stopped.")
ERROR(STARTED_AGAIN,          EEXIST,    500, 70, "InstanceStartedAgain", "Somebody started the domain again while it was being stopped.")

/* The operator's side */
ERROR(USAGE,                  EINVAL,    400, 64, "Usage",               "")
ERROR(UNREACHABLE,            ENOTCONN,  503, 69, "DaemonUnreachable",   "")
ERROR(CONFIGURATION,          EINVAL,    500, 78, "BadConfiguration",    "")

/* What a driver or the journal met. UNKNOWN is a hypervisor that could not tell: never off. */
ERROR(UNKNOWN,                EAGAIN,    503, 75, "ServiceUnavailable",  "")
ERROR(NOT_RUNNING,            ESRCH,     403, 76, "IncorrectInstanceStatus", "The domain is not running.")
ERROR(AGENT_ABSENT,           ENOENT,    500, 70, "GuestAgentAbsent",    "The guest agent is absent or does not answer.")
ERROR(AGENT_REFUSED,          EPERM,     500, 70, "GuestAgentRefused",   "The guest agent refused to shut the guest down.")
ERROR(REFUSED,                EPERM,     500, 70, "Refused",             "The event was refused.")
ERROR(UNSUPPORTED,            ENOTSUP,   500, 70, "Unsupported",         "")
ERROR(JOURNAL,                EIO,       503, 75, "ServiceUnavailable",  "")
ERROR(JOURNAL_LOCKED,         EBUSY,     503, 75, "ServiceUnavailable",  "")
ERROR(IO,                     EIO,       500, 70, "InternalError",       "")
ERROR(NO_ROOM,                ENOSPC,    500, 70, "InternalError",       "")
